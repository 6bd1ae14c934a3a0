/** Grants on the whole way: a private registry with a credential, another repository, and an organisation that narrows. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Redactor } from '../../src/audit/redact.ts';
import { createTaskAuthority } from '../../src/door/certificates.ts';
import { eventsOf, type Outcome, OWNER, run, scenario, startWay, type Way } from './way.ts';

const SECRET = `registry-${randomBytes(12).toString('hex')}`;
const OWN = `own-${randomBytes(12).toString('hex')}`;

/** A private registry on this machine: answers with what it was shown, as a careless one might. */
async function startRegistry() {
  const seen: { path: string; authorization: string }[] = [];
  const authority = await createTaskAuthority();
  const server = createServer({
    SNICallback: (name, done) => void authority.contextFor(name).then((context) => done(null, context)),
  });
  server.on('request', (request, response) => {
    seen.push({ path: request.url ?? '', authorization: request.headers.authorization ?? '' });
    response.end(`package for ${request.headers.authorization === `Bearer ${SECRET}` ? 'the right' : 'another'} reader\n`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    seen,
    authority: authority.certificate,
    port: (server.address() as AddressInfo).port,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

let way: Way;
let registry: Awaited<ReturnType<typeof startRegistry>>;
let outcome: Outcome;
let directory = '';
let library: { head: string | null };

before(async () => {
  registry = await startRegistry();
  const { port } = registry;
  directory = await mkdtemp(path.join(tmpdir(), 'coatcheck-grants-'));
  // The registry's own authority beside those that the machine has.
  const bundle = path.join(directory, 'authorities.pem');
  const present = process.env['NODE_EXTRA_CA_CERTS'];
  await writeFile(bundle, `${present === undefined ? '' : readFileSync(present, 'utf8')}\n${registry.authority}`);
  const url = `https://localhost:${port}`;
  const read = `curl -sS -m 10 --noproxy "" -H "authorization: Bearer ${OWN}"`;
  way = await startWay({
    script: scenario('case-grants', {
      rounds: [
        [
          { calls: [run(`${read} ${url}/pkg/left-pad`), run(`${read} -X PUT ${url}/pkg/published`)] },
          { calls: [run(`git ls-remote http://git.coatcheck.internal/${OWNER}/library.git 2>&1`)] },
          { calls: [run(`git ls-remote http://git.coatcheck.internal/${OWNER}/secrets.git 2>&1; true`)] },
          { calls: [run('env; cat /proc/*/environ | tr "\\0" "\\n"; echo blue > value.txt')] },
          { text: 'Paint it' },
        ],
      ],
    }),
    policy: {
      egress: {
        presets: ['npm'],
        on_request: ['pypi'],
        grants: [
          {
            id: 'registry',
            host: 'localhost',
            ports: [port],
            paths: ['/pkg'],
            phases: ['agent'],
            privateAddresses: ['127.0.0.0/8'],
            expires: new Date(Date.now() + 3_600_000).toISOString(),
            credential: { env: 'REGISTRY_TOKEN' },
          },
          { id: 'library', how: 'repository', repository: `${OWNER}/library`, phases: ['agent'] },
          { id: 'old', host: 'old.test', expires: '2026-01-01T00:00:00Z' },
        ],
      },
    },
    environment: { REGISTRY_TOKEN: SECRET, NODE_EXTRA_CA_CERTS: bundle, COATCHECK_LOG_LEVEL: 'trace' },
  });
  const { forge } = way;
  await forge.createRepository({
    owner: OWNER,
    name: '.github',
    files: { '.github/coatcheck.yml': 'egress: [registry, library, old, npm]\nlimits: {turns: 20}\nprotect: ["infra/**"]\n' },
    collaborators: {},
  });
  library = await forge.createRepository({ owner: OWNER, name: 'library', files: { 'lib.js': '1\n' }, collaborators: {} });
  await forge.createRepository({ owner: OWNER, name: 'secrets', files: { 'key.txt': 'x\n' }, collaborators: {} });
  outcome = await way.runIssue({
    title: 'case-grants',
    repository: { owner: OWNER },
    files: {
      '.github/coatcheck.yml': 'egress: [registry, library]\ncommands: {test: grep -q blue value.txt}\n',
      'value.txt': 'red\n',
    },
  });
});
after(async () => {
  await way?.close();
  await registry?.close();
  await rm(directory, { recursive: true, force: true });
});

/** What a command of the agent printed, as the record has it. */
function printed(command: string): string {
  const found = eventsOf(outcome.events, 'agent.tool').filter(({ input }) => input.includes(command));
  assert.equal(found.length, 1, `${command} was run once`);
  return found[0]?.output ?? '';
}

test('the task went its whole way', () => {
  assert.deepEqual([outcome.end.task.state, outcome.end.task.reason], ['ready', 'verified'], outcome.end.task.message);
});

test('a private registry is read with our credential and never with the sandbox’s own', () => {
  assert.deepEqual(registry.seen, [{ path: '/pkg/left-pad', authorization: `Bearer ${SECRET}` }]);
  assert.match(printed('/pkg/left-pad'), /package for the right reader/);
  const decisions = eventsOf(outcome.events, 'door.decision').filter(({ path: asked }) => asked.startsWith('/pkg'));
  assert.deepEqual(
    decisions.map(({ method, verdict, rule }) => [method, verdict, rule]),
    [
      ['GET', 'allowed', 'registry'],
      ['PUT', 'refused', 'registry'],
    ],
  );
});

test('a granted repository is read through git, and no other one', () => {
  assert.match(printed('library.git'), new RegExp(`^${library.head}\\s+HEAD`, 'm'));
  assert.doesNotMatch(printed('secrets.git'), /refs\/heads/);
});

test('every token was made for one repository alone, to read it, but for the push', () => {
  const named = eventsOf(outcome.events, 'credential.minted').map(({ kind, scope }) => `${kind} ${scope}`);
  for (const name of ['.github', 'library'])
    assert.ok(named.includes(`repository_read ${OWNER}/${name} contents:read`), named.join('\n'));
  for (const name of ['.github', 'library', 'secrets']) {
    const tokens = outcome.state.tokens.filter(({ repositories }) => repositories?.includes(`${OWNER}/${name}`));
    assert.equal(tokens.length, name === 'secrets' ? 0 : 1, name);
    for (const { repositories, permissions, state } of tokens) {
      assert.deepEqual(
        [repositories, permissions, state],
        [[`${OWNER}/${name}`], { contents: 'read', metadata: 'read' }, 'revoked'],
      );
    }
  }
});

test('the record names the credential by an id, once, and nothing anywhere holds its value', async () => {
  const minted = eventsOf(outcome.events, 'credential.minted').filter(({ kind }) => kind === 'registry');
  assert.equal(minted.length, 1);
  assert.equal(minted[0]?.scope, 'registry for localhost');
  const revoked = eventsOf(outcome.events, 'credential.revoked').filter(({ id }) => id === minted[0]?.id);
  assert.deepEqual(
    revoked.map(({ gone }) => gone),
    [true],
  );
  const record = await readFile(outcome.end.record, 'utf8');
  const places = {
    record,
    log: await way.log(),
    page: await way.page(outcome),
    model: (await way.asked('case-grants')).join('\n'),
  };
  for (const [place, text] of Object.entries(places))
    assert.deepEqual(
      new Redactor([SECRET]).spellings.filter((spelling) => text.includes(spelling)),
      [],
      place,
    );
  assert.ok(places.model.includes(OWN), 'what the sandbox does hold is found');
});

test('the record tells which organisation file counted', () => {
  const [resolved] = eventsOf(outcome.events, 'policy.resolved');
  const head = outcome.state.repositories.find(({ fullName }) => fullName === `${OWNER}/.github`)?.refs['refs/heads/main'];
  assert.equal(resolved?.organisation?.repository, `${OWNER}/.github`);
  assert.equal(resolved?.organisation?.commit, head);
  assert.match(resolved?.organisation?.blob ?? '', /^[0-9a-f]{40}$/);
});

test('asking for more than the organisation allows, or for what has expired, ends the task before anything runs', async () => {
  const refused = await way.runIssue({
    title: 'case-wide',
    repository: { owner: OWNER },
    files: { '.github/coatcheck.yml': 'egress: [pypi, old]\nlimits: {turns: 30}\n' },
  });
  assert.deepEqual([refused.end.task.state, refused.end.task.reason], ['refused', 'policy']);
  const { message } = refused.end.task;
  assert.match(message, /egress: the repository asks for "pypi", the organisation allows "registry", "library", "old", "npm"/);
  assert.match(message, /egress: the repository asks for "old", which expired on 2026-01-01T00:00:00Z; ask the operator/);
  assert.match(message, /limits.turns: the repository asks for 30, the organisation allows 20/);
  assert.equal(eventsOf(refused.events, 'attempt.claimed').length, 0);
});
