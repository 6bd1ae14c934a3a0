import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type Attempts, openAttempts } from '../../src/control/attempts.ts';
import { openChanges } from '../../src/control/changes.ts';
import type { Credentials } from '../../src/control/credentials.ts';
import type { Grants } from '../../src/control/grants.ts';
import { hostApi } from '../../src/control/host-api.ts';
import { leases } from '../../src/control/leases.ts';
import type { AttemptRef } from '../../src/control/record.ts';
import { ClaimAnswer, EventsAnswer, HOST_API, ProtocolError } from '../../src/task/protocol.ts';
import { emptyStore, OTHER_TASK, REF, recorderOf, TASK, task, workOrder } from './task.fixture.ts';

const HOST_KEY = 'host-key-of-the-test-0123456789abcdef';
const FINISH = { cleanup: { looked: [] }, plan: null, outcome: { outcome: 'ended', reason: 'internal', message: '' } };

/** Gives out names of credentials that stand for nothing. */
const credentials: Pick<Credentials, 'mintRead' | 'modelKey'> = {
  mintRead: async () => ({ token: 'read', id: 'r', expiresAt: '2026-11-21T11:00:00.000Z' }),
  modelKey: async () => 'model key',
};

/** What the rules of the work order give is another test's: grants.test.ts. */
const grants: Grants = {
  registry: () => Promise.reject(new Error('no rule has a credential')),
  repository: () => Promise.reject(new Error('no rule opens a repository')),
};

async function served(t: TestContext) {
  const { store, directory } = await emptyStore(t);
  const recorder = recorderOf(store);
  const handedOver: AttemptRef[] = [];
  const trouble: string[] = [];
  const attempts: Attempts = openAttempts({
    ...{ store, recorder, credentials, grants, leases: leases(15_000), changes: openChanges({ directory }) },
    modelUrl: () => 'http://127.0.0.1:1/model',
    repositoryUrl: ({ owner, name }) => `http://forge.test/${owner}/${name}.git`,
    handedOver: (ref) => handedOver.push(ref),
    started: () => {},
    signal: new AbortController().signal,
  });
  const api = hostApi({ hostKey: HOST_KEY, attempts, trouble: (text) => trouble.push(text) });
  const call = async (verb: string, bearer: string, body: unknown) =>
    api.request(`${HOST_API}/${verb}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  const claim = (ref = REF, bearer = HOST_KEY) =>
    call('claim', bearer, { ...ref, host: { id: 'host-1', runtimes: [], coatcheck: '0' } });
  await store.tasks.create(task(), 'delivery-1');
  await store.tasks.setWork(TASK, workOrder());
  return { store, recorder, call, claim, handedOver, trouble };
}

const token = async (response: Response): Promise<string> => {
  const answer = ClaimAnswer.parse(await response.json());
  assert.equal(answer.claim, 'granted');
  return answer.claim === 'granted' ? answer.token : '';
};
const refusal = async (response: Response): Promise<[number, string]> => [
  response.status,
  ProtocolError.parse(await response.json()).error,
];

describe('claims', () => {
  test('need the host key', async (t) => {
    const { claim } = await served(t);
    for (const bearer of ['', 'x', `${HOST_KEY}x`])
      assert.deepEqual(await refusal(await claim(REF, bearer)), [401, 'unauthorised']);
    assert.equal((await claim()).status, 200);
  });

  test('are granted once; what is unknown, held or over has nothing to do', async (t) => {
    const { claim } = await served(t);
    await token(await claim());
    for (const ref of [REF, { ...REF, attempt: 2 }, { ...REF, task: OTHER_TASK }]) {
      assert.equal(ClaimAnswer.parse(await (await claim(ref)).json()).claim, 'nothing');
    }
  });

  test('of fifty at once one is granted', async (t) => {
    const { claim } = await served(t);
    const answers = await Promise.all(Array.from({ length: 50 }, async () => ClaimAnswer.parse(await (await claim()).json())));
    assert.equal(answers.filter((answer) => answer.claim === 'granted').length, 1);
  });
});

describe('the fence', () => {
  test('refuses every call with a token that nobody has, and the host key is none', async (t) => {
    const { call, claim } = await served(t);
    await claim();
    for (const bearer of ['cca_unknown', HOST_KEY, '']) {
      for (const verb of ['events', 'grant', 'change', 'finish'])
        assert.deepEqual(await refusal(await call(verb, bearer, {})), [409, 'fenced'], verb);
    }
  });

  test('shuts with the finish, and what comes after it changes nothing', async (t) => {
    const { store, call, claim, handedOver } = await served(t);
    const bearer = await token(await claim());
    assert.equal((await call('finish', bearer, FINISH)).status, 200);
    assert.deepEqual(handedOver, [REF]);
    for (const [verb, body] of [
      ['finish', FINISH],
      ['events', { events: [] }],
      ['grant', { grant: 'model' }],
      ['change', 'bytes'],
    ] as const)
      assert.deepEqual(await refusal(await call(verb, bearer, body)), [409, 'fenced'], verb);
    assert.equal(handedOver.length, 1);
    assert.equal((await store.attempts.get(TASK, 1))?.bundle, null);
  });

  test('shuts when the attempt is taken back, and opens for the next attempt’s token alone', async (t) => {
    const { store, call, claim } = await served(t);
    const old = await token(await claim());
    assert.ok(await store.attempts.takeBack(TASK, 1));
    assert.ok(!(await store.attempts.takeBack(TASK, 1)));
    assert.deepEqual(await refusal(await call('finish', old, FINISH)), [409, 'fenced']);
    await store.attempts.end(TASK, 1, { again: 'Once more.' });
    const next = await token(await claim({ ...REF, attempt: 2 }));
    assert.deepEqual(await refusal(await call('events', old, { events: [] })), [409, 'fenced']);
    assert.equal((await call('events', next, { events: [] })).status, 200);
  });
});

describe('events', () => {
  const said = (seq: number, what: string) => ({ seq, at: '2026-11-21T10:00:00.000Z', type: 'output', text: `${what}\n` });

  test('are stored once each and in order; a gap ends what is taken', async (t) => {
    const { recorder, call, claim } = await served(t);
    const bearer = await token(await claim());
    const stored = async (...events: object[]) =>
      EventsAnswer.parse(await (await call('events', bearer, { events })).json()).stored;
    assert.equal(await stored(), -1);
    assert.equal(await stored(said(0, 'a'), said(1, 'b')), 1);
    assert.equal(await stored(said(0, 'a'), said(1, 'b'), said(2, 'c')), 2);
    assert.equal(await stored(said(4, 'e')), 2);
    const texts = (await recorder.read(REF)).flatMap(({ event }) => (event.type === 'output' ? [event.text] : []));
    assert.deepEqual(texts, ['a\n', 'b\n', 'c\n']);
  });

  test('of a type that is the control plane’s own are refused', async (t) => {
    const { recorder, call, claim } = await served(t);
    const bearer = await token(await claim());
    const forged = { seq: 0, at: '2026-11-21T10:00:00.000Z', type: 'credential.revoked', id: 'x', gone: true };
    assert.deepEqual(await refusal(await call('events', bearer, { events: [forged] })), [400, 'malformed']);
    assert.deepEqual(
      (await recorder.read(REF)).map(({ event }) => event.type),
      ['attempt.claimed'],
    );
  });

  test('bring the wish to stop back', async (t) => {
    const { store, call, claim } = await served(t);
    const bearer = await token(await claim());
    await store.tasks.askToStop(TASK, { by: 'ada', why: 'enough' });
    assert.deepEqual(await (await call('events', bearer, { events: [] })).json(), { stored: -1, stop: { reason: 'stopped' } });
  });
});

test('what has no shape is malformed, and the control plane’s own faults stay its own', async (t) => {
  const { call, claim, store, trouble } = await served(t);
  const bearer = await token(await claim());
  for (const body of ['{', '[]', '{"events":[{"seq":-1,"at":"now","type":"plan"}]}', '{"events":[],"more":1}'])
    assert.deepEqual(await refusal(await call('events', bearer, body)), [400, 'malformed'], body);
  assert.deepEqual(await refusal(await call('claim', HOST_KEY, { task: '../../x', attempt: 1 })), [400, 'malformed']);
  assert.deepEqual(await refusal(await call('grant', bearer, { grant: 'repository_write' })), [400, 'malformed']);
  store.attempts.byToken = async () => {
    throw new Error('the disk is full');
  };
  const answer = await call('events', bearer, { events: [] });
  assert.equal(answer.status, 500);
  assert.doesNotMatch(await answer.text(), /disk/);
  assert.match(trouble.join(), /the disk is full/);
});
