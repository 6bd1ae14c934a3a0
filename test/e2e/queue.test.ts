import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { Queue as BullQueue } from 'bullmq';
import { redisOptions } from '../../src/queue/connection.ts';
import { openQueue } from '../../src/queue/queue.ts';
import { QUEUE_NAME, type Wake } from '../../src/queue/wake.ts';
import { atEnd, clientOf, newRedis, queueOn, TASK, until } from '../queue/redis-server.fixture.ts';

const BOUND = { timeout: 60_000 };
const never = new AbortController().signal;

/** A handler whose calls are counted and which ends when told. */
function gate() {
  const taken: string[] = [];
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  const handler = async ({ task, attempt }: Wake) => {
    taken.push(`${task}-${attempt}`);
    await opened;
  };
  return { taken, open, handler };
}

test('a wake-up reaches a handler; the same attempt is woken once, and again after it ended', BOUND, async (t) => {
  const { url } = await newRedis(t);
  const queue = await queueOn(t, url);
  const first = gate();
  await Promise.all([queue.wake(TASK, 1), queue.wake(TASK, 1), queue.wake(TASK, 2)]);
  const worker = await queue.work({ concurrency: 5, handler: first.handler, signal: never });
  atEnd(t, () => worker.close(0));
  await until(() => first.taken.length === 2);
  await queue.wake(TASK, 1);
  first.open();
  await until(async () => (await clientOf(t, url).keys('bull:*-1')).length === 0);
  assert.deepEqual(first.taken.sort(), [`${TASK}-1`, `${TASK}-2`], 'not while it runs');
  await queue.wake(TASK, 1);
  await until(() => first.taken.length === 3);
});

test('nothing piles up in Redis, whether handlers end well or not', BOUND, async (t) => {
  const { url } = await newRedis(t);
  const log: string[] = [];
  const queue = await queueOn(t, url, log);
  let seen = 0;
  const handler = async () => {
    seen += 1;
    if (seen % 2 === 0) throw new Error('handler failed');
  };
  const worker = await queue.work({ concurrency: 3, handler, signal: never });
  atEnd(t, () => worker.close(0));
  const client = clientOf(t, url);
  for (let attempt = 1; attempt <= 20; attempt += 1) await queue.wake(TASK, attempt);
  await until(async () => seen === 20 && (await client.keys(`bull:${QUEUE_NAME}:${TASK}*`)).length === 0);
  assert.equal(log.filter((line) => line.includes('handler failed')).length, 10);
  for (const set of ['completed', 'failed', 'wait', 'active'])
    assert.equal(await client.exists(`bull:${QUEUE_NAME}:${set}`), 0, set);
});

test('forged jobs are dropped with a line in the log', BOUND, async (t) => {
  const { url } = await newRedis(t);
  const log: string[] = [];
  const queue = await queueOn(t, url, log);
  const forger = new BullQueue(QUEUE_NAME, { connection: { ...redisOptions(url) } });
  atEnd(t, () => forger.close());
  const forged: [unknown, string][] = [
    [{ task: '../../etc', attempt: 1 }, 'forged-a'],
    [{ task: TASK, attempt: 1 }, 'another-id'],
    [{ task: TASK, attempt: -1 }, `${TASK}--1`],
    [{ task: TASK, attempt: 1, command: 'x' }, `${TASK}-1`],
    ['text', 'forged-b'],
  ];
  for (const [data, jobId] of forged) await forger.add('attempt', data, { jobId });
  await queue.wake(TASK, 7);
  const { taken, handler, open } = gate();
  open();
  const worker = await queue.work({ concurrency: 1, handler, signal: never });
  atEnd(t, () => worker.close(0));
  await until(() => taken.length === 1 && log.length === forged.length);
  assert.deepEqual(taken, [`${TASK}-7`]);
  assert.ok(log.every((line) => line.includes('dropped a job')));
  await until(async () => (await forger.getJobCountByTypes('wait', 'active', 'completed', 'failed')) === 0);
});

test('an evicting Redis is refused, naming the setting', BOUND, async (t) => {
  const { url } = await newRedis(t);
  const client = clientOf(t, url);
  await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
  await assert.rejects(openQueue({ url }), (error) => {
    assert.ok(error instanceof Error && 'code' in error && error.code === 'redis_evicts');
    return error.message.includes('maxmemory-policy allkeys-lru');
  });
  await client.config('SET', 'maxmemory-policy', 'noeviction');
  await (await openQueue({ url })).close();
});

test('a Redis that is killed: waking says so in time; worker and acknowledged wake-ups come back with it', BOUND, async (t) => {
  const redis = await newRedis(t);
  const queue = await queueOn(t, redis.url);
  const { taken, handler, open } = gate();
  open();
  const client = clientOf(t, redis.url);
  await queue.wake(TASK, 1);
  await client.bgrewriteaof();
  const { pid } = redis;
  assert.ok(pid !== null);
  // Stopped first: the wake-up after it meets a server that answers nothing.
  process.kill(pid, 'SIGSTOP');
  const asked = performance.now();
  await assert.rejects(queue.wake(TASK, 2), { code: 'queue_unavailable' });
  assert.ok(performance.now() - asked < 5000);
  process.kill(pid, 'SIGKILL');
  const worker = await queue.work({ concurrency: 1, handler, signal: never });
  atEnd(t, () => worker.close(0));
  await until(() => taken.includes(`${TASK}-1`));
  await until(() =>
    queue.wake(TASK, 3).then(
      () => true,
      () => false,
    ),
  );
  await until(() => taken.includes(`${TASK}-3`));
});

test('a worker that is waiting outlives a restart of Redis', BOUND, async (t) => {
  const redis = await newRedis(t);
  const queue = await queueOn(t, redis.url);
  const { taken, handler, open } = gate();
  open();
  const worker = await queue.work({ concurrency: 1, handler, signal: never });
  atEnd(t, () => worker.close(0));
  await queue.wake(TASK, 1);
  await until(() => taken.length === 1);
  const { pid } = redis;
  assert.ok(pid !== null);
  process.kill(pid, 'SIGKILL');
  await until(() => redis.pid !== null && redis.pid !== pid);
  await until(() =>
    queue.wake(TASK, 2).then(
      () => true,
      () => false,
    ),
  );
  await until(() => taken.includes(`${TASK}-2`));
});

test('what a killed worker held is run again by another', BOUND, async (t) => {
  const { url } = await newRedis(t);
  const queue = await queueOn(t, url);
  const module = new URL('../../src/queue/queue.ts', import.meta.url).href;
  const program = `
    const { openQueue } = await import(${JSON.stringify(module)});
    const queue = await openQueue({ url: ${JSON.stringify(url)}, lockMs: 1500 });
    await queue.work({ concurrency: 1, signal: new AbortController().signal,
      handler: async () => { console.log('taken'); await new Promise(() => {}); } });`;
  const other = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  atEnd(t, () => other.kill('SIGKILL'));
  const taken = once(createInterface({ input: other.stdout }), 'line');
  await queue.wake(TASK, 1);
  await taken;
  const second = gate();
  second.open();
  const worker = await queue.work({ concurrency: 1, handler: second.handler, signal: never });
  atEnd(t, () => worker.close(0));
  other.kill('SIGKILL');
  await until(() => second.taken.length === 1);
});

test('two workers share the work', BOUND, async (t) => {
  const { url } = await newRedis(t);
  const queue = await queueOn(t, url);
  const [one, two] = [gate(), gate()];
  for (const { handler } of [one, two]) {
    const worker = await queue.work({ concurrency: 1, handler, signal: never });
    atEnd(t, () => worker.close(0));
  }
  atEnd(t, () => {
    one.open();
    two.open();
  });
  await queue.wake(TASK, 1);
  await queue.wake(TASK, 2);
  await until(() => one.taken.length === 1 && two.taken.length === 1);
});

test('pausing takes nothing new; closing waits for the grace, then aborts', BOUND, async (t) => {
  const { url } = await newRedis(t);
  const queue = await queueOn(t, url);
  const aborted: string[] = [];
  const started: number[] = [];
  const worker = await queue.work({
    concurrency: 2,
    signal: never,
    handler: async ({ attempt }, signal) => {
      started.push(attempt);
      await once(signal, 'abort');
      aborted.push(String(attempt));
    },
  });
  await queue.wake(TASK, 1);
  await until(() => started.length === 1);
  await worker.pause();
  await queue.wake(TASK, 2);
  const began = performance.now();
  await worker.close(300);
  assert.ok(performance.now() - began >= 295);
  assert.deepEqual([started, aborted], [[1], ['1']]);
  const next = gate();
  next.open();
  const second = await queue.work({ concurrency: 1, handler: next.handler, signal: never });
  await until(() => next.taken.includes(`${TASK}-2`));
  await second.close(1000);
});
