/** A control plane with hosts of their own, on a Redis of its own: hosts stall and die, Redis goes away. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import type { Product } from '../../src/cli/quickstart/product.ts';
import { redisOptions } from '../../src/queue/connection.ts';
import { type EmbeddedRedis, startRedis } from '../../src/queue/redis-server.ts';
import { deploymentFilter } from '../../src/sandbox/owner.ts';
import { attemptsOf, BARE, CHECKED, changes, eventually, HANGING, hangsFirst, hangsInPlan, nothingOf } from './faults.ts';
import { below, containers, pullsOf, type Running, runDirectories, startWay, type Way } from './way.ts';

const release = new AsyncDisposableStack();
const hosts = new Map<string, Product>();
let redisDirectory: string;
let redis: EmbeddedRedis;
let way: Way;

const newRedis = () => startRedis({ directory: redisDirectory, signal: new AbortController().signal });

/** A host with one slot, in a process of its own. */
async function startHost(name: string): Promise<void> {
  const product = await way.deployment.start('host', {
    COATCHECK_HOST_NAME: name,
    COATCHECK_HOST_SLOTS: '1',
    COATCHECK_CONTROL_URL: way.url,
  });
  hosts.set(name, product);
}

/** The host that has claimed an attempt of a task, by the name it was given. */
async function hostOf(running: Running, attempt = 1): Promise<{ name: string; product: Product }> {
  const { host } = await running.event('attempt.claimed', (claimed) => claimed.attempt === attempt);
  const found = [...hosts].find(([name]) => host.startsWith(`${name}-`));
  assert.ok(found, host);
  return { name: found[0], product: found[1] };
}

before(async () => {
  redisDirectory = await mkdtemp(path.join(tmpdir(), 'coatcheck-faults-'));
  release.defer(() => rm(redisDirectory, { recursive: true, force: true }));
  redis = await newRedis();
  release.defer(() => redis.close());
  way = release.use(
    await startWay({
      script: [
        ...hangsInPlan('fault-first', 1),
        ...hangsInPlan('fault-second', 1),
        ...hangsFirst('fault-third', 1),
        ...changes('fault-fourth'),
      ],
      mode: 'control',
      environment: {
        REDIS_URL: redis.url,
        COATCHECK_HOST_KEY: randomBytes(32).toString('hex'),
        COATCHECK_LEASE_MS: '4000',
      },
    }),
  );
  release.defer(async () => void (await Promise.all([...hosts.values()].map((host) => host.close()))));
  await Promise.all([startHost('anna'), startHost('berta')]);
});
after(() => release.disposeAsync());

test('two hosts share the work; one that stalls is replaced, and can do no harm when it wakes up', {
  timeout: 90_000,
}, async () => {
  const [first, second] = await Promise.all([
    way.begin({ title: 'fault-first', files: CHECKED }),
    way.begin({ title: 'fault-second', files: BARE }),
  ]);
  const stalled = await hostOf(first);
  const other = await hostOf(second);
  assert.notEqual(stalled.name, other.name);

  await way.model.hanging(2);
  stalled.product.kill('SIGSTOP');
  await way.model.release();
  const shared = await second.outcome;
  assert.equal(shared.end.task.state, 'draft');
  assert.equal((await attemptsOf(way, shared))[0]?.host?.startsWith(other.name), true);
  // The stalled host is alive: its sandbox is its own, and nobody else's sweep takes it.
  await first.event('attempt.claimed', ({ attempt }) => attempt === 2);
  assert.equal((await containers(`coatcheck.task=${first.task}`)).length >= 1, true);

  // It wakes up in the middle of the attempt that replaces it.
  stalled.product.kill('SIGCONT');
  const replaced = await first.outcome;
  assert.equal(replaced.end.task.state, 'ready');
  const attempts = await attemptsOf(way, replaced);
  assert.deepEqual(
    attempts.map(({ end }) => end.reason),
    ['host_lost', 'verified'],
  );
  assert.equal(pullsOf(replaced.state, replaced).length, 1);
  await eventually('the woken host has cleaned up', () => runDirectories(stalled.product.pid).length === 0);
  assert.match(await readFile(stalled.product.logFile, 'utf8'), /the attempt was given up by the control plane/);
  assert.deepEqual(await containers(deploymentFilter(way.deployment.dataDirectory)), []);
});

test('a host that is killed is replaced, and what it leaves is swept by another', { timeout: 90_000 }, async () => {
  const running = await way.begin({ title: 'fault-third', files: CHECKED });
  await running.event('agent.said', ({ text }) => text === HANGING);
  const { name, product } = await hostOf(running);
  const doors = below(product.pid).map(({ pid }) => pid);
  assert.ok(doors.length > 0, 'it has a door');
  const left = await containers(`coatcheck.task=${running.task}`);
  assert.equal(left.length, 1);
  product.kill('SIGKILL');
  await product.ended;
  hosts.delete(name);
  await startHost('clara');
  assert.ok(!(await containers(deploymentFilter(way.deployment.dataDirectory))).includes(left[0] ?? ''), 'swept at its start');
  nothingOf([product.pid]);
  const outcome = await running.outcome;
  assert.equal(outcome.end.task.state, 'ready');
  const attempts = await attemptsOf(way, outcome);
  assert.deepEqual(
    attempts.map(({ end }) => end.reason),
    ['host_lost', 'verified'],
  );
  assert.notEqual(attempts[0]?.host, attempts[1]?.host);
  assert.equal(pullsOf(outcome.state, outcome).length, 1);
});

test('a Redis that is away loses nothing: the delivery is taken, and the task begins when it is back', {
  timeout: 60_000,
}, async () => {
  await redis.close();
  const at = await way.openIssue({ title: 'fault-fourth', files: BARE });
  const before = (await way.forge.state()).deliveries.length;
  await way.label(at);
  const state = await way.forge.waitFor(({ deliveries }) =>
    deliveries
      .slice(before)
      .some(({ event, action, statusCode }) => event === 'issues' && action === 'labeled' && statusCode > 0),
  );
  assert.equal(state.deliveries.slice(before).find(({ action }) => action === 'labeled')?.statusCode, 200);
  const running = await way.follow(at);
  redis = await newRedis();
  assert.equal((await running.outcome).end.task.state, 'draft');
});

test('a Redis that evicts is refused at the start, naming the setting', { timeout: 30_000 }, async () => {
  const client = new Redis(redisOptions(redis.url));
  try {
    await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
    await assert.rejects(startHost('dora'), /maxmemory-policy/);
    await client.config('SET', 'maxmemory-policy', 'noeviction');
  } finally {
    client.disconnect();
  }
});

test('nothing of it is left', async () => {
  await way.nothingLeft();
  for (const { pid } of hosts.values()) {
    assert.deepEqual(runDirectories(pid), []);
    assert.deepEqual(below(pid), []);
  }
});

test('hosts and control plane that are asked to end do so though Redis is away', { timeout: 40_000 }, async () => {
  await redis.close();
  const products = [...hosts.values(), way.deployment.product];
  for (const product of products) product.kill('SIGTERM');
  assert.deepEqual(
    await Promise.all(products.map(({ ended }) => ended)),
    products.map(() => 0),
  );
  nothingOf(products.map(({ pid }) => pid));
});
