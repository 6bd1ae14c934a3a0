import assert from 'node:assert/strict';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';
import { openStore } from '../../src/store/store.ts';
import { TASK_MOVES, TaskState } from '../../src/task/task.ts';
import { emptyStore, OTHER_TASK, SHA, TASK, task, workOrder } from '../control/task.fixture.ts';

const digest = 'd'.repeat(64);

describe('tasks', () => {
  test('make every legal move, and no other', async (t) => {
    const { store } = await emptyStore(t);
    let tried = 0;
    for (const from of TaskState.options) {
      for (const to of TaskState.options) {
        const id = `${TASK.slice(0, 20)}${String(++tried).padStart(6, '0')}`;
        const issue = { ...task().issue, number: tried };
        assert.equal((await store.tasks.create(task({ id, issue, state: from }), `delivery-${tried}`)).kind, 'created');
        const moving = store.tasks.move(id, { to, message: 'moved' });
        if (TASK_MOVES[from].includes(to)) assert.equal((await moving).state, to);
        else {
          await assert.rejects(moving, { code: 'illegal_move' }, `${from} → ${to}`);
          assert.equal((await store.tasks.get(id)).task.state, from);
        }
      }
    }
    assert.equal(tried, TaskState.options.length ** 2);
  });

  test('one open task per issue; the same delivery makes one once; after its end there may be another', async (t) => {
    const { store } = await emptyStore(t);
    assert.deepEqual(await store.tasks.create(task(), 'first'), { kind: 'created' });
    const again = await store.tasks.create(task({ id: OTHER_TASK }), 'first');
    assert.ok(again.kind === 'again' && again.task.id === TASK);
    const duplicate = await store.tasks.create(task({ id: OTHER_TASK }), 'second');
    assert.ok(duplicate.kind === 'duplicate' && duplicate.task.id === TASK);
    assert.equal((await store.tasks.openOn(5, 12))?.task.id, TASK);
    await store.tasks.move(TASK, { to: 'cancelled', reason: 'stopped', message: '' });
    assert.equal(await store.tasks.openOn(5, 12), null);
    assert.equal((await store.tasks.create(task({ id: OTHER_TASK }), 'second')).kind, 'created');
    assert.equal((await store.tasks.openOn(5, 12))?.task.id, OTHER_TASK);
  });

  test('of fifty deliveries at once for one issue, one makes the task', async (t) => {
    const { store } = await emptyStore(t);
    const made = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        store.tasks.create(task({ id: `${TASK.slice(0, 20)}${String(n).padStart(6, '0')}` }), `delivery-${n}`),
      ),
    );
    assert.equal(made.filter(({ kind }) => kind === 'created').length, 1);
    assert.equal((await store.tasks.newest(100)).length, 1);
  });

  test('keep traces beside one another, the first asker of a stop, and the end’s time', async (t) => {
    const { store } = await emptyStore(t);
    await store.tasks.create(task(), 'first');
    await store.tasks.trace(TASK, { commit: SHA });
    await store.tasks.trace(TASK, { comment: { id: 4, url: 'https://forge.test/4' } });
    await store.tasks.askToStop(TASK, { by: 'ada', why: 'a' });
    await store.tasks.askToStop(TASK, { by: 'bob', why: 'b' });
    const { traces, stop } = await store.tasks.get(TASK);
    assert.deepEqual([traces.commit, traces.comment?.id, stop?.by], [SHA, 4, 'ada']);
    const ended = await store.tasks.move(TASK, { to: 'cancelled', message: '' });
    assert.notEqual(ended.endedAt, null);
    await assert.rejects(store.tasks.get(OTHER_TASK), { code: 'unknown_task' });
    assert.equal(await store.tasks.find(OTHER_TASK), null);
  });
});

describe('attempts', () => {
  test('go from the queue to one host, to the hand-over and to their end, each once', async (t) => {
    const { store } = await emptyStore(t);
    const { attempts } = store;
    await store.tasks.create(task(), 'first');
    await store.tasks.setWork(TASK, workOrder());
    assert.equal(await attempts.claim(TASK, 1, 'host-1', digest), true);
    assert.equal(await attempts.claim(TASK, 1, 'host-2', 'e'.repeat(64)), false);
    assert.equal((await attempts.byToken(digest))?.host, 'host-1');
    assert.equal((await store.tasks.get(TASK)).task.state, 'running');
    const finish = {
      cleanup: { looked: [] },
      plan: null,
      outcome: { outcome: 'ended' as const, reason: 'internal' as const, message: '' },
    };
    assert.equal(await attempts.handOver(TASK, 1, finish), true);
    assert.equal(await attempts.handOver(TASK, 1, finish), false);
    assert.equal(await attempts.byToken(digest), null);
    assert.equal(await attempts.takeBack(TASK, 1), false);
    await attempts.end(TASK, 1, { move: { to: 'failed', reason: 'internal', message: 'x' } });
    await attempts.end(TASK, 1, { again: 'a second end changes nothing' });
    assert.equal((await store.tasks.get(TASK)).task.state, 'failed');
    assert.equal((await attempts.latest(TASK))?.number, 1);
    assert.deepEqual(
      (await attempts.unsealed()).map(({ number }) => number),
      [1],
    );
    await attempts.sealed(TASK, 1);
    assert.deepEqual(await attempts.unsealed(), []);
  });

  test('an end that is tried again puts the next attempt in the queue in the same breath', async (t) => {
    const { store } = await emptyStore(t);
    await store.tasks.create(task(), 'first');
    await store.attempts.claim(TASK, 1, 'host-1', digest);
    await store.attempts.end(TASK, 1, { again: 'Once more.' });
    const latest = await store.attempts.latest(TASK);
    assert.deepEqual([latest?.number, latest?.state, latest?.host], [2, 'queued', null]);
    const { task: now } = await store.tasks.get(TASK);
    assert.deepEqual([now.state, now.message], ['queued', 'Once more.']);
  });

  test('an end that the table does not allow changes neither attempt nor task', async (t) => {
    const { store } = await emptyStore(t);
    await store.tasks.create(task(), 'first');
    await assert.rejects(store.attempts.end(TASK, 1, { move: { to: 'ready', message: '' } }), { code: 'illegal_move' });
    assert.equal((await store.attempts.get(TASK, 1))?.state, 'queued');
  });
});

test('events are appended with the host’s sequence in one breath, and come back in order', async (t) => {
  const { store } = await emptyStore(t);
  await store.tasks.create(task(), 'first');
  const line = (seq: number) => ({ seq, line: `{"n":${seq}}` });
  await store.events.append(TASK, 1, [line(0), line(1)], 7);
  assert.equal((await store.attempts.get(TASK, 1))?.hostSeq, 7);
  await assert.rejects(store.events.append(TASK, 1, [line(1)], 9), /UNIQUE/);
  assert.equal((await store.attempts.get(TASK, 1))?.hostSeq, 7, 'nothing of what failed');
  assert.deepEqual(
    (await store.events.list(TASK, 1, 1)).map((event) => ({ ...event })),
    [line(1)],
  );
  assert.deepEqual({ ...(await store.events.last(TASK, 1)) }, line(1));
  assert.equal(await store.events.last(TASK, 2), null);
});

test('a secret is kept only until it is revoked', async (t) => {
  const { store, directory } = await emptyStore(t);
  await store.tasks.create(task(), 'first');
  await store.attempts.claim(TASK, 1, 'host-1', digest);
  const kept = { task: TASK, attempt: 1, scope: 'octo/sample', expiresAt: null };
  await store.credentials.keep({ ...kept, id: 'k1', kind: 'model', secret: 'ccm_canary' });
  await store.credentials.keep({ ...kept, id: 'k2', kind: 'repository_read', secret: 'ghs_canary' });
  assert.deepEqual({ ...(await store.credentials.byModelKey('ccm_canary')) }, { task: TASK, attempt: 1 });
  assert.equal(await store.credentials.byModelKey('ghs_canary'), null, 'a token is no model key');
  await store.credentials.revoked(TASK, 1, 'k1');
  assert.equal(await store.credentials.byModelKey('ccm_canary'), null);
  assert.deepEqual(
    (await store.credentials.live(TASK, 1)).map(({ id, secret }) => [id, secret]),
    [['k2', 'ghs_canary']],
  );
  const database = new DatabaseSync(path.join(directory, 'coatcheck.sqlite'), { readOnly: true });
  const row = database.prepare('select secret from credentials where id = ?').get('k1');
  database.close();
  assert.equal(row?.['secret'], null);
});

test('a model key is worth nothing once its attempt does not run', async (t) => {
  const { store } = await emptyStore(t);
  await store.tasks.create(task(), 'first');
  await store.attempts.claim(TASK, 1, 'host-1', digest);
  const key = { id: 'k1', kind: 'model' as const, secret: 'ccm_x', scope: '', expiresAt: null };
  await store.credentials.keep({ task: TASK, attempt: 1, ...key });
  assert.notEqual(await store.credentials.byModelKey('ccm_x'), null);
  await store.attempts.takeBack(TASK, 1);
  assert.equal(await store.credentials.byModelKey('ccm_x'), null);
});

test('usage adds up by installation, and reservations are given back', async (t) => {
  const { store } = await emptyStore(t);
  await store.usage.add(8, { tokens: 100 });
  await store.usage.add(8, { tokens: -40, costUsd: 0.5 });
  await store.usage.add(9, { tokens: 1 });
  assert.deepEqual(await store.usage.today(8), { tokens: 60, costUsd: 0.5 });
  assert.deepEqual(await store.usage.today(10), { tokens: 0, costUsd: 0 });
});

test('a delivery is kept once by its GUID, and its payload only until it is worked through', async (t) => {
  const { store, directory } = await emptyStore(t);
  const delivery = { guid: 'g1', event: 'issues', payloadDigest: digest, payload: { text: 'somebody’s canary' } };
  assert.deepEqual(await Promise.all([1, 2, 3].map(() => store.deliveries.take(delivery))), [true, false, false]);
  assert.deepEqual(
    (await store.deliveries.waiting()).map(({ guid, payload }) => ({ guid, payload })),
    [{ guid: 'g1', payload: delivery.payload }],
  );
  await store.deliveries.done('g1', 'task x');
  assert.deepEqual(await store.deliveries.waiting(), []);
  assert.equal(await store.deliveries.outcome('g1'), 'task x');
  assert.equal(await store.deliveries.take(delivery), false, 'known for good');
  const other = await openStore({ directory });
  assert.equal(await other.deliveries.known('g1'), true);
  await other.close();
});

test('a notice is known once it was kept, however often', async (t) => {
  const { store } = await emptyStore(t);
  assert.equal(await store.notices.said('k'), false);
  await Promise.all([store.notices.keep('k'), store.notices.keep('k')]);
  assert.deepEqual([await store.notices.said('k'), await store.notices.said('other')], [true, false]);
});
