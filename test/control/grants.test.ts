import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openCredentials } from '../../src/control/credentials.ts';
import { openGrants } from '../../src/control/grants.ts';
import { CoatcheckError } from '../../src/errors.ts';
import type { GitHub, OtherRepository } from '../../src/github/github.ts';
import { EgressRule } from '../../src/policy/egress.ts';
import { emptyStore, REF, recorderOf, SHA, task, workOrder } from './task.fixture.ts';

const SECRET = 'registry-secret-value';
const RULES = [
  { id: 'registry', host: 'npm.test', credential: { env: 'TOKEN' } },
  { id: 'moved', host: 'elsewhere.test', credential: { env: 'TOKEN' } },
  { id: 'unknown', host: 'npm.test', credential: { env: 'TOKEN' } },
  { id: 'bare', host: 'bare.test' },
  { id: 'past', host: 'npm.test', credential: { env: 'TOKEN' }, expires: '2026-01-01T00:00:00Z' },
  { id: 'library', how: 'repository', repository: 'octo/library' },
  { id: 'absent', how: 'repository', repository: 'octo/absent' },
].map((rule) => EgressRule.parse(rule));

async function scene(t: TestContext) {
  const { store } = await emptyStore(t);
  const recorder = recorderOf(store);
  await store.tasks.create(task(), 'delivery-1');
  const revoked: string[] = [];
  const library: OtherRepository = {
    repository: { id: 77, owner: 'octo', name: 'library' },
    token: { token: 'token-of-the-library', id: 'aaaabbbbcccc', expiresAt: '2026-11-21T11:00:00.000Z' },
    base: async () => ({ ref: 'trunk', sha: SHA }),
    findEntry: async () => null,
    readBlob: async () => Buffer.alloc(0),
  };
  const github = {
    openRepository: async (_id: number, at: { name: string }) => (at.name === 'library' ? library : null),
    revokeToken: async (token: string) => revoked.push(token) > 0,
  } as Partial<GitHub> as GitHub;
  const known = (host: string) => ({ env: 'TOKEN', host, header: 'authorization', value: `Bearer ${SECRET}` });
  const registries = new Map(['registry', 'moved', 'bare', 'past'].map((id) => [id, known('npm.test')]));
  const credentials = openCredentials({ store, recorder, github, registries });
  const grants = openGrants({ credentials, repositoryUrl: ({ owner, name }) => `http://forge.test/${owner}/${name}.git` });
  return { store, recorder, credentials, grants, revoked, work: { ...workOrder(), egress: RULES } };
}

const refused = (text: RegExp) => (thrown: unknown) =>
  thrown instanceof CoatcheckError && thrown.code === 'grant_refused' && text.test(thrown.message);

test('a rule’s credential is given, recorded once by an id that tells nothing, and dropped at the end', async (t) => {
  const { grants, work, recorder, store, credentials, revoked } = await scene(t);
  const answer = { grant: 'registry', header: 'authorization', value: `Bearer ${SECRET}` };
  assert.deepEqual(await grants.registry(REF, work, 'registry'), answer);
  assert.deepEqual(await grants.registry(REF, work, 'registry'), answer, 'for the next door of the attempt');
  const live = await store.credentials.live(REF.task, REF.attempt);
  assert.deepEqual(
    live.map(({ kind, secret, scope }) => [kind, secret, scope]),
    [['registry', '', 'registry for npm.test']],
  );
  assert.equal(await credentials.revokeAll(REF), true);
  assert.deepEqual(revoked, [], 'it is not GitHub’s to revoke');
  const events = (await recorder.read(REF)).map(({ event }) => event);
  assert.deepEqual(
    events.map(({ type }) => type),
    ['credential.minted', 'credential.revoked'],
  );
  assert.ok(!JSON.stringify(events).includes(SECRET));
  assert.deepEqual(await store.credentials.live(REF.task, REF.attempt), []);
});

test('nothing is given for what the work order or the policy does not have', async (t) => {
  const { grants, work, recorder } = await scene(t);
  for (const [id, text] of [
    ['nothing', /no grant "nothing"/],
    ['library', /no grant "library" of this kind/],
    ['bare', /"bare" has no credential/],
    ['moved', /no credential for the grant "moved" any more/],
    ['unknown', /no credential for the grant "unknown" any more/],
    ['past', /"past" expired on 2026-01-01T00:00:00Z/],
  ] as const)
    await assert.rejects(grants.registry(REF, work, id), refused(text), id);
  await assert.rejects(grants.registry(REF, workOrder(), 'registry'), refused(/no grant "registry"/));
  assert.deepEqual(await recorder.read(REF), []);
});

test('a repository is opened by a token for it alone, and says where its default branch is', async (t) => {
  const { grants, work, credentials, revoked, recorder } = await scene(t);
  assert.deepEqual(await grants.repository(REF, task(), work, 'library'), {
    grant: 'repository_read',
    url: 'http://forge.test/octo/library.git',
    token: 'token-of-the-library',
    expiresAt: '2026-11-21T11:00:00.000Z',
    repository: { id: 77, owner: 'octo', name: 'library', ref: 'trunk', sha: SHA },
  });
  await assert.rejects(
    grants.repository(REF, task(), work, 'absent'),
    refused(/"absent" opens octo\/absent, which the App's installation does not cover/),
  );
  await assert.rejects(grants.repository(REF, task(), work, 'registry'), refused(/of this kind/));
  assert.equal(await credentials.revokeAll(REF), true);
  assert.deepEqual(revoked, ['token-of-the-library']);
  const [minted] = await recorder.read(REF);
  assert.ok(minted?.event.type === 'credential.minted' && minted.event.scope === 'octo/library contents:read');
});
