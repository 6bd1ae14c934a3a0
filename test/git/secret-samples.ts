/** Secrets of every kind that is looked for, made up at run time, so that no scanner takes these files for a leak. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';

export const madeUp = (length: number, alphabet = 'ABCDEFGHJKabcdefghjk23456789'): string =>
  Array.from({ length }, (_, i) => alphabet[(i * 7 + (i % 5) * 3 + length) % alphabet.length]).join('');

const JWT = `eyJ${madeUp(40)}.eyJ${madeUp(300)}.${madeUp(150)}`;
const pem = (key: KeyObject, type: 'pkcs8' | 'sec1' = 'pkcs8'): string => String(key.export({ type, format: 'pem' })).trim();
const rsa = pem(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey);
const ec = pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, 'sec1');
const ed25519 = pem(generateKeyPairSync('ed25519').privateKey);

/** What finds it, and the secret. */
export const SECRETS: Readonly<Record<string, readonly [rule: RegExp, secret: string]>> = {
  'installation token of 40 characters': [/^github /, `ghs_${madeUp(36)}`],
  'installation token with dots': [/^github /, `ghs_1234567_${JWT}`],
  'personal token': [/^github /, `ghp_${madeUp(36)}`],
  'fine-grained token': [/^github /, `github_pat_${madeUp(22)}_${madeUp(59)}`],
  'AWS key id': [/^aws /, `AKIA${madeUp(16, 'ABCDEFGH234567')}`],
  'RSA key': [/^privatekey /, rsa],
  'elliptic key': [/^privatekey /, ec],
  'Ed25519 key': [/^privatekey /, ed25519],
  'key in JSON': [/^privatekey /, JSON.stringify(ed25519).slice(1, -1)],
  'encrypted key': [/^privatekey /, rsa.replaceAll('PRIVATE', 'ENCRYPTED PRIVATE')],
  'old encrypted key': [
    /^privatekey /,
    rsa.replaceAll(' PRIVATE', ' RSA PRIVATE').replace('-\nM', '-\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00FF\n\nM'),
  ],
  'OpenSSH key': [
    /^privatekey /,
    `-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE${madeUp(51)}\n${madeUp(70)}\n-----END OPENSSH PRIVATE KEY-----`,
  ],
  npm: [/^npm /, `npm_${madeUp(36)}`],
  Slack: [/^slack /, `xoxb-${madeUp(12, '0123456789')}-${madeUp(12, '0123456789')}-${madeUp(24)}`],
  Anthropic: [/^anthropic /, `sk-ant-api03-${madeUp(93)}-${madeUp(6)}AA`],
  OpenAI: [/^openai /, `sk-proj-${madeUp(74)}T3BlbkFJ${madeUp(74)}`],
  Stripe: [/^stripe /, `sk_live_${madeUp(24)}`],
  GitLab: [/^gitlab /, `glpat-${madeUp(20)}`],
  'password in a URL': [/^basicauth /, `https://deploy:${madeUp(14)}@forge.test`],
  'password of a database': [/^database-connection-string /, `postgres://deploy:${madeUp(12)}@db.test:5432/x`],
};

/** What looks like one and is none. */
export const INNOCENT: readonly string[] = [
  'commit 3f786850e387550fdab836ed7e6dc881de23001b',
  '"integrity": "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",',
  '  --hash=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  'golang.org/x/text v0.14.0 h1:ScX5w1eTa3QqT8oi6+ziP7dTV1S2+ALU0bI+0zXKWiQ=',
  'checksum = "5ad32ce52e4161730f7098c077cd2ed6229b5804ccf99e5366be1ab72a98b4e1"',
  'id: 9f1b8e5c-2f40-4f4b-9d8a-0f6b6a3b1c2d',
  'https://forge.test/octo/sample/pull/7/files#diff-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  'http://user@forge.test:8080/path?key=value',
  'postgres://postgres:password@localhost:5432/test',
  `https://\${USER}:\${PASSWORD}@forge.test/`,
  'const task = await ask(sk-learn-some-long-package-name, risk-management-plan-2026-A)',
  'import { ghs_token } from "./ghs_.ts"; // github_pat_ and ghp_ are prefixes',
  'grep -n -- "-----BEGIN PRIVATE KEY-----" *.pem && echo found',
  '-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUTESTMIIBszCCAVmgAwIBAgIUTEST\n-----END CERTIFICATE-----',
  '-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEMFkwEwYHKoZIzj0CAQYIKoZI\n-----END PUBLIC KEY-----',
  `token: \${{ secrets.GITHUB_TOKEN }}`,
  'account_id = 123456789012',
];
