/** What becomes of an attempt whose end was interrupted by a crash: `conclude` runs again from its beginning. */
import assert from 'node:assert/strict';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { openKey } from '../../src/audit/key.ts';
import { KEPT_MS, openChanges } from '../../src/control/changes.ts';
import { closeAttempt, conclude } from '../../src/control/conclude.ts';
import { ending } from '../../src/control/ending.ts';
import type { ControlParts } from '../../src/control/parts.ts';
import { readSealed } from '../../src/control/seal-record.ts';
import type { GitHub } from '../../src/github/github.ts';
import type { FinishRequest } from '../../src/task/protocol.ts';
import { silent } from '../github/local-github.ts';
import { emptyStore, REF, recorderOf, TASK, task } from './task.fixture.ts';

type Outcome = FinishRequest['outcome'];

/** An attempt that its host has handed over with this outcome, and the parts that conclude it. */
async function scene(t: TestContext, outcome: Outcome) {
  const { store, directory } = await emptyStore(t);
  const recorder = recorderOf(store);
  const woken: number[] = [];
  const parts: ControlParts = {
    ...{ log: silent, directory, store, recorder, changes: openChanges({ directory }), key: await openKey(directory) },
    // Nothing here is published, so nobody speaks to GitHub.
    github: {} as GitHub,
    credentials: {
      mintRead: () => Promise.reject(new Error('nothing is published')),
      mintWrite: () => Promise.reject(new Error('nothing is published')),
      revokeAll: async () => true,
    },
    follow: { touch: () => {}, last: async () => {}, react: async () => {}, close: async () => {} },
    checks: { open: async () => {}, complete: async () => {} },
    identity: { name: 'coatcheck[bot]', email: 'x@users.noreply.github.com' },
    remoteOf: () => ({ url: 'http://forge.test', token: '', network: { authorities: null, proxy: null, noProxy: null } }),
    pageOf: (id) => `/tasks/${id}`,
    wake: async ({ attempt }) => void woken.push(attempt),
    signal: new AbortController().signal,
    publishing: (_task, work) => work(),
  };
  await store.tasks.create(task(), 'delivery-1');
  await recorder.control(REF, {
    type: 'policy.resolved',
    ruleFile: null,
    configuration: null,
    commands: [],
    notRecognised: [],
    digest: 'd',
  });
  await store.attempts.claim(TASK, 1, 'host-1', 'd'.repeat(64));
  await store.attempts.handOver(TASK, 1, { cleanup: { looked: [] }, plan: null, outcome });
  const typesOf = async (attempt = 1) => (await recorder.read({ task: TASK, attempt })).map(({ event }) => event.type);
  return { store, directory, parts, woken, typesOf };
}

const failed: Outcome = { outcome: 'ended', reason: 'internal', message: 'A screw is loose.' };
const crash = async () => {
  throw new Error('the process dies here');
};

test('the end is recorded, sealed and told once, however often it is concluded', async (t) => {
  const { store, directory, parts, typesOf } = await scene(t, failed);
  await conclude(parts, REF);
  const sealed = await readSealed(directory, REF);
  const types = await typesOf();
  await conclude(parts, REF);
  assert.deepEqual(await typesOf(), types);
  assert.deepEqual(await readSealed(directory, REF), sealed);
  assert.equal(types.filter((type) => type === 'attempt.ended').length, 1);
  const { task: ended } = await store.tasks.get(TASK);
  assert.deepEqual([ended.state, ended.reason], ['failed', 'internal']);
});

test('what is sealed is what the task ends as, though a stop came between a crash and the next try', async (t) => {
  const { store, directory, parts } = await scene(t, failed);
  const { end } = store.attempts;
  store.attempts.end = crash;
  await assert.rejects(conclude(parts, REF), /dies here/);
  assert.notEqual(await readSealed(directory, REF), null);
  store.attempts.end = end;
  await store.tasks.askToStop(TASK, { by: 'ada', why: 'too slow' });
  await conclude(parts, REF);
  const { task: ended } = await store.tasks.get(TASK);
  assert.deepEqual([ended.state, ended.reason], ['failed', 'internal']);
});

test('a crash after the change was removed, and before the seal, does not lose what was decided', async (t) => {
  const { store, directory, parts, typesOf } = await scene(t, failed);
  // Where the record should stand something is in the way: it cannot be written.
  const records = path.join(directory, 'records');
  await writeFile(records, '');
  await assert.rejects(conclude(parts, REF));
  await rm(records);
  await store.tasks.askToStop(TASK, { by: 'ada', why: 'too slow' });
  await conclude(parts, REF);
  const { task: ended } = await store.tasks.get(TASK);
  assert.deepEqual([ended.state, ended.reason], ['failed', 'internal']);
  assert.equal((await typesOf()).filter((type) => type === 'attempt.ended').length, 1);
  assert.ok((await stat(records)).isDirectory());
});

test('what nobody is at fault for is tried again, with a record that stands alone, three times in all', async (t) => {
  const { store, parts, woken, typesOf } = await scene(t, { outcome: 'ended', reason: 'host_lost', message: '' });
  for (let attempt = 1; attempt <= 3; attempt++) {
    await conclude(parts, { task: TASK, attempt });
    if (attempt === 3) break;
    assert.deepEqual(await typesOf(attempt + 1), ['policy.resolved']);
    assert.ok(await store.attempts.claim(TASK, attempt + 1, 'host-2', String(attempt).repeat(64)));
    assert.ok(await store.attempts.takeBack(TASK, attempt + 1));
  }
  assert.deepEqual(woken, [2, 3]);
  const { task: ended } = await store.tasks.get(TASK);
  assert.deepEqual([ended.state, ended.reason], ['failed', 'host_lost']);
});

test('a stop goes before another attempt', async (t) => {
  const { store, parts, woken } = await scene(t, { outcome: 'ended', reason: 'host_lost', message: '' });
  await store.tasks.askToStop(TASK, { by: 'ada', why: 'enough' });
  await conclude(parts, REF);
  assert.equal((await store.tasks.get(TASK)).task.state, 'cancelled');
  assert.deepEqual(woken, []);
});

test('a held change is kept with its end, and the proof says until when', async (t) => {
  const { store, directory, parts } = await scene(t, failed);
  await store.tasks.move(TASK, { to: 'publishing', message: '' });
  const bundle = path.join(directory, 'changes', `${TASK}-1`, 'change.bundle');
  await mkdir(path.dirname(bundle), { recursive: true });
  await writeFile(bundle, 'bytes');
  await closeAttempt(parts, REF, ending('approval_needed', 'Look.'));
  assert.equal(await readFile(bundle, 'utf8'), 'bytes');
  assert.equal((await store.tasks.get(TASK)).task.state, 'held');
  const cleanup = (await parts.recorder.read(REF)).map(({ event }) => event).find((event) => event.type === 'cleanup');
  const change = cleanup?.type === 'cleanup' ? cleanup.proof.looked.find(({ kind }) => kind === 'change') : undefined;
  const until = (await stat(bundle)).mtimeMs + KEPT_MS;
  assert.deepEqual(change, { kind: 'change', id: `${TASK}-1`, gone: false, keptUntil: new Date(until).toISOString() });
  assert.deepEqual(await parts.changes.removeOld(until - 1000), []);
  assert.deepEqual(await parts.changes.removeOld(until + 1000), [`${TASK}-1`]);
  await assert.rejects(stat(bundle), { code: 'ENOENT' });
});

test('what an attempt’s change left is gone with its end', async (t) => {
  const { directory, parts } = await scene(t, failed);
  const home = path.join(directory, 'changes', `${TASK}-1`);
  await mkdir(home, { recursive: true });
  await writeFile(path.join(home, 'change.bundle'), 'bytes');
  await conclude(parts, REF);
  await assert.rejects(stat(home), { code: 'ENOENT' });
});
