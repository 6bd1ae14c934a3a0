/** An agent that looks for every secret and every way out finds none; and none is left where others can read. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { Redactor } from '../../src/audit/redact.ts';
import { eventsOf, type Outcome, run, scenario, startWay, type Way } from './way.ts';

const secret = (name: string) => `canary-${name}-${randomBytes(12).toString('hex')}`;
const MODEL_KEY = secret('model-key');
const HOST_KEY = secret('host-key');
/** Put where the agent can see it: what finds this would have found the others. */
const PLANTED = secret('planted');
const SAMPLE_MS = 40;

/** A regular expression for a text that does not match itself, so that looking for it is no find. */
const pattern = (text: string): string => `[${text[0]}]${text.slice(1).replaceAll('+', '\\+')}`;

const LOOKS = {
  environment: `PLANTED=${PLANTED} sleep 20 &\nenv\ncat /proc/*/environ | tr '\\0' '\\n'\ncat /proc/*/cmdline | tr '\\0' ' '`,
  // Everything but the image's own programs, which are older than any secret.
  files:
    'rg -uuu --no-messages --text --only-matching -f look/patterns $(ls -d /* | grep -vE "^/(usr|bin|sbin|lib.*|proc|sys)$"); true',
  git: 'git config -l --show-origin; cat .git/config; git remote -v; ls -a ~ /work/repo; cat ~/.netrc ~/.git-credentials; true',
  interfaces: 'ls /sys/class/net; cat /proc/net/dev; python3 -c "import socket; print(socket.if_nameindex())"; ls /run/coatcheck',
  proxy: 'curl -sS -m 10 http://unlisted.test/tell?me=all; curl -sS -m 10 https://unlisted.test/; true',
  direct:
    'for at in $(cat look/addresses); do curl -sS -m 3 --noproxy "*" http://$at/direct; curl -sS -m 10 --noproxy "" http://$at/proxied; done; true',
  relay: 'curl -sS -m 10 --noproxy "*" -o /dev/null -w "%{http_code}" http://127.0.0.1:3128/',
  push: 'git push origin HEAD:refs/heads/evil',
  fetch: 'git -c credential.helper= fetch origin && git rev-parse FETCH_HEAD',
  model: `curl -sS -i -m 10 -d '{}' -H 'content-type: application/json' http://model.coatcheck.internal/v1/messages; true`,
} as const;
type Look = keyof typeof LOOKS;
const NAMES = Object.keys(LOOKS) as Look[];

let way: Way;
let outcome: Outcome;
/** Everything that has to stay secret, by name. */
const canaries = new Map<string, string>();
const commandLines = new Set<string>();
let touched = 0;
let addresses: string[] = [];

/** Listens on all of the machine's addresses, as whatever runs on a host might. */
async function listenOutside() {
  const server = createServer((_, response) => {
    touched += 1;
    response.end('reached');
  }).listen(0, '0.0.0.0');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const own = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).filter(({ family }) => family === 'IPv4'));
  addresses = own.map(({ address }) => `${address}:${port}`);
  return {
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** What every process of the machine was started with, as anybody on it can read; the scripted model is given its key so. */
function sampleCommandLines(): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && name !== String(way.model.pid))) {
    try {
      commandLines.add(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
    } catch {
      // ended meanwhile
    }
  }
}

/** The key by which the attempt's door asks for the model: no event holds it, and it is forgotten with its end. */
function attemptKey(directory: string, task: string): string {
  const database = new DatabaseSync(path.join(directory, 'coatcheck.sqlite'), { readOnly: true });
  const row = database.prepare(`SELECT secret FROM credentials WHERE task = ? AND kind = 'model'`).get(task);
  database.close();
  return z.object({ secret: z.string().min(20) }).parse(row).secret;
}

let outside: { close: () => Promise<void> };

before(async () => {
  outside = await listenOutside();
  const looks = NAMES.map((name) => ({ calls: [run(`sh look/${name}.sh 2>&1`)] }));
  way = await startWay({
    script: scenario('case-curious', {
      rounds: [[...looks, { calls: [run('echo blue > value.txt')] }, { text: `Paint it\n\n${PLANTED}` }]],
    }),
    modelKey: MODEL_KEY,
    environment: { COATCHECK_HOST_KEY: HOST_KEY, COATCHECK_LOG_LEVEL: 'trace' },
  });
  const { webhookSecret, app, dataDirectory } = way.deployment;
  const [, keyLine = ''] = app.privateKey.split('\n');
  const fixed = [MODEL_KEY, HOST_KEY, webhookSecret, keyLine, PLANTED].map(pattern);
  // GitHub's tokens, and ours for hosts and doors: their values are made later.
  const forms = ['gh[su]_[A-Za-z0-9.]{20,}', 'cc[am]_[A-Za-z0-9_-]{40,}'];
  const scripts = Object.fromEntries(NAMES.map((name) => [`look/${name}.sh`, `${LOOKS[name]}\n`]));
  const running = await way.begin({
    title: 'case-curious',
    files: {
      ...scripts,
      'look/patterns': `${[...fixed, ...forms].join('\n')}\n`,
      'look/addresses': `${addresses.join('\n')}\n`,
      'planted.txt': `${PLANTED}\n`,
      'value.txt': 'red\n',
      'AGENTS.md': '## Commands\n\n- `grep -q blue value.txt` - run the tests\n',
    },
  });
  const sampling = setInterval(sampleCommandLines, SAMPLE_MS);
  try {
    await running.event('credential.minted', ({ kind }) => kind === 'model');
    canaries.set('the attempt’s model key', attemptKey(dataDirectory, running.task));
    outcome = await running.outcome;
  } finally {
    clearInterval(sampling);
  }
  canaries.set('the model key', MODEL_KEY).set('the host key', HOST_KEY).set('the webhook secret', webhookSecret);
  canaries.set('the App’s private key', keyLine);
  for (const { id, token } of outcome.state.tokens) canaries.set(`installation token ${id}`, token);
});
after(async () => {
  await way?.close();
  await outside?.close();
});

/** What a look printed, as the record has it. */
function seen(name: Look): string {
  const tools = eventsOf(outcome.events, 'agent.tool').filter(({ input }) => input.includes(`look/${name}.sh`));
  assert.equal(tools.length, 1, `${name} was run once`);
  return tools[0]?.output ?? '';
}

/** Neither in plain, nor as URLs and base64 have it. */
function holdsNone(where: string, text: string): void {
  const holds = (value: string) => new Redactor([value]).spellings.some((spelling) => text.includes(spelling));
  const found = [...canaries].filter(([, value]) => holds(value)).map(([name]) => name);
  assert.deepEqual(found, [], where);
}

test('the task went its whole way, with every kind of secret in play', () => {
  assert.deepEqual([outcome.end.task.state, outcome.end.task.reason], ['ready', 'verified'], outcome.end.task.message);
  const kinds = eventsOf(outcome.events, 'credential.minted').map(({ kind }) => kind);
  assert.deepEqual([...new Set(kinds)].sort(), ['model', 'repository_read', 'repository_write']);
  assert.ok(canaries.size >= 8, [...canaries.keys()].join(', '));
  for (const [name, value] of canaries) assert.ok(value.length >= 20, name);
});

test('nothing that the sandbox printed holds a secret, before anything was taken out of it', async () => {
  const asked = (await way.asked('case-curious')).join('\n');
  assert.ok(asked.includes(PLANTED), 'what is there is found');
  // Its headers hold the model's key: it did arrive, outside.
  assert.ok((await way.model.requests()).every(({ headers }) => headers['x-api-key'] === MODEL_KEY));
  holdsNone('the model’s requests', asked);
});

test('no environment, command line or file inside holds one', () => {
  assert.match(seen('environment'), new RegExp(`PLANTED=${PLANTED}`));
  const found = seen('files')
    .split('\n')
    .filter((line) => line.includes(':'));
  assert.ok(
    found.some((line) => line.startsWith('/work/repo/planted.txt:')),
    found.join('\n'),
  );
  assert.deepEqual(
    found.filter((line) => !line.endsWith(PLANTED)),
    [],
  );
});

test('git inside knows where to fetch and nothing else', () => {
  const text = seen('git');
  assert.match(text, /url ?= ?http:\/\/git\.coatcheck\.internal\/octo\/work-1\.git/);
  assert.doesNotMatch(text, /extraheader|helper|insteadof|password|authorization/i);
  assert.match(seen('fetch'), new RegExp(`${outcome.end.task.base.sha}\\s+\\[exit code 0\\]`));
});

test('a push from inside is refused, and nothing of it is on GitHub', () => {
  assert.match(seen('push'), /403/);
  assert.doesNotMatch(seen('push'), /\[exit code 0\]/);
  const decision = eventsOf(outcome.events, 'door.decision').find(
    ({ route, path: asked }) => route === 'git' && asked.includes('receive-pack'),
  );
  assert.equal(decision?.verdict, 'refused');
  assert.match(decision?.reason ?? '', /fetched from and nothing else/);
  const refs = outcome.state.repositories.find(({ fullName }) => fullName === outcome.repository)?.refs ?? {};
  const branches = Object.keys(refs).filter((ref) => ref.startsWith('refs/heads/'));
  assert.deepEqual(branches.sort(), [`refs/heads/${outcome.end.task.branch}`, 'refs/heads/main']);
});

test('there is no interface but loopback', () => {
  const text = seen('interfaces');
  assert.match(text, /\[\(1, 'lo'\)\]/);
  assert.doesNotMatch(text, /\b(?:eth|ens|enp|veth|docker|wlan|tun)\w*/);
});

test('an unlisted host is refused with an event, and the refusal names the rule that is missing', async () => {
  assert.match(seen('proxy'), /coatcheck refused GET unlisted\.test:80\/tell in agent: /);
  assert.match(seen('proxy'), /egress:\n\s+grants:\n\s+- id: unlisted\.test\n\s+host: unlisted\.test/);
  const decisions = eventsOf(outcome.events, 'door.decision').filter(({ host }) => host === 'unlisted.test');
  assert.deepEqual(
    decisions.map(({ verdict, method, port, address }) => [verdict, method, port, address]),
    [
      ['refused', 'GET', 80, null],
      ['refused', 'CONNECT', 443, null],
    ],
  );
  assert.ok(decisions.every(({ reason }) => reason !== ''));
  const check = outcome.state.checkRuns.find(({ repository }) => repository === outcome.repository);
  assert.match(check?.summary ?? '', /\| refused \| ` ?unlisted\.test:80 ?` \|/);
});

test('no address of the machine is reached, neither directly nor through the door', async () => {
  assert.ok(addresses.length > 0);
  assert.equal(touched, 0);
  for (const address of addresses) assert.equal(await (await fetch(`http://${address}/`)).text(), 'reached', 'outside it is');
  assert.doesNotMatch(seen('direct'), /reached/);
  assert.equal(seen('direct').match(/Failed to connect/g)?.length, addresses.length);
  assert.equal(seen('direct').match(/coatcheck refused/g)?.length, addresses.length);
  assert.match(seen('relay'), /^[1-5]\d\d\s/, 'what does listen inside is reached directly');
});

test('the model’s route answers without telling the key it uses', () => {
  assert.match(seen('model'), /^HTTP\/1\.1 \d{3}/);
  const decision = eventsOf(outcome.events, 'door.decision').findLast(
    ({ route, method }) => route === 'model' && method === 'POST',
  );
  assert.equal(decision?.verdict, 'allowed');
});

test('no secret is in the record, on GitHub, in the log or on a command line', async () => {
  const record = await readFile(outcome.end.record, 'utf8');
  assert.ok(record.includes(PLANTED));
  holdsNone('the record', record);
  assert.ok(outcome.pull?.body?.includes(PLANTED));
  holdsNone('issues, comments and pull requests', JSON.stringify(outcome.state.issues));
  holdsNone('check runs', JSON.stringify(outcome.state.checkRuns));
  holdsNone('the task page', await way.page(outcome));
  const log = await way.log();
  assert.match(log, /"level":20/, 'the log is as talkative as it can be');
  holdsNone('the log', log);
  const lines = [...commandLines].join('\n');
  assert.match(lines, /git .*fetch/, 'git was seen at work');
  holdsNone('command lines', lines);
});

test('the host keeps none beside its mirror of the repository', () => {
  const home = path.join(way.deployment.dataDirectory, 'host');
  const files = readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  assert.ok(
    files.some(({ name }) => name === 'config'),
    'the mirror is there',
  );
  for (const { parentPath, name } of files)
    holdsNone(`${parentPath}/${name}`, readFileSync(path.join(parentPath, name), 'latin1'));
});
