import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { findSecrets } from '../../src/git/secret-rules.ts';
import { INNOCENT, madeUp, SECRETS } from './secret-samples.ts';

const find = (text: string, path = 'src/a.txt', first = 1) => findSecrets({ path, runs: [{ first, lines: text.split('\n') }] });

for (const [name, [rule, secret]] of Object.entries(SECRETS)) {
  test(`found once, whole, in its line: ${name}`, async () => {
    const found = await find(`first\nvalue = "${secret}"\nlast`, 'src/config.ts', 7);
    assert.equal(found.length, 1, JSON.stringify(found.map(({ rule }) => rule)));
    const [hit] = found;
    assert.match(hit?.rule ?? '', rule);
    assert.deepEqual([hit?.path, hit?.line], ['src/config.ts', 8]);
    assert.ok(hit?.secret.includes(secret.slice(0, -1)), 'all of it');
  });
}

test('what only looks like a secret is none', async () => {
  for (const text of INNOCENT) assert.deepEqual(await find(text), [], text);
  const lock = readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8');
  assert.deepEqual(await find(lock, 'package-lock.json'), []);
});

test('the scanned text cannot switch the scan off', async () => {
  const secret = `ghp_${madeUp(36)}`;
  for (const text of [
    `// secretlint-disable\n${secret}`,
    `${secret} // secretlint-disable-line`,
    `# secretlint-disable-next-line\n${secret}`,
    `<!-- secretlint-disable @secretlint/secretlint-rule-github -->\n${secret}`,
  ])
    assert.equal((await find(text)).length, 1, text);
});

test('files that rules treat by their name are scanned like others, and none is opened', async () => {
  const secret = `ghp_${madeUp(36)}`;
  for (const path of ['keys.p12', '/etc/passwd', 'package.json', '.npmrc', 'docker/config.json', 'key.json', 'a.env', 'x'])
    assert.equal((await find(secret, path)).length, 1, path);
});

test('two secrets are two, each in its own line; a secret is found over the lines between runs', async () => {
  const [a, b] = [`ghp_${madeUp(36)}`, `npm_${madeUp(36)}`];
  const runs = [
    { first: 3, lines: ['x', `${a} ${a}`] },
    { first: 90, lines: [b] },
  ];
  const found = await findSecrets({ path: 'p', runs });
  assert.deepEqual(
    found.map(({ line, rule }) => `${line} ${rule.split(' ')[0]}`),
    ['4 github', '4 github', '90 npm'],
  );
});
