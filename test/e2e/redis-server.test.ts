import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { z } from 'zod';
import { startRedis } from '../../src/queue/redis-server.ts';
import { atEnd, clientOf, isAlive, newRedis, redisIn, temporaryFolder, until } from '../queue/redis-server.fixture.ts';

const BOUND = { timeout: 60_000 };

test(
  'it answers on a socket of its own, keeps an append-only file, never evicts, and leaves nothing running',
  BOUND,
  async (t) => {
    const directory = await temporaryFolder(t);
    const redis = await redisIn(t, directory);
    const client = clientOf(t, redis.url);
    assert.equal(await client.ping(), 'PONG');
    const config = async (name: string) => z.array(z.string()).parse(await client.config('GET', name))[1];
    assert.equal(await config('appendonly'), 'yes');
    assert.equal(await config('appendfsync'), 'everysec');
    assert.equal(await config('maxmemory-policy'), 'noeviction');
    assert.equal(await config('port'), '0');
    assert.equal((await stat(join(directory, 'redis.sock'))).mode & 0o777, 0o700);
    const { pid } = redis;
    assert.ok(pid !== null && isAlive(pid));
    await redis.close();
    await redis.close();
    assert.ok(!isAlive(pid));
    assert.deepEqual(
      (await readdir(directory)).filter((name) => /sock|pid/.test(name)),
      [],
    );
  },
);

test('what was written is there after a restart', BOUND, async (t) => {
  const directory = await temporaryFolder(t);
  const first = await redisIn(t, directory);
  await clientOf(t, first.url).set('key', 'kept');
  await first.close();
  const second = await redisIn(t, directory);
  assert.equal(await clientOf(t, second.url).get('key'), 'kept');
});

test('killed by itself, it is started again', BOUND, async (t) => {
  const redis = await newRedis(t);
  const { pid } = redis;
  assert.ok(pid !== null);
  process.kill(pid, 'SIGKILL');
  await until(() => redis.pid !== null && redis.pid !== pid);
  assert.equal(await clientOf(t, redis.url).ping(), 'PONG');
});

test('it dies with its parent, however that ends, and the next start takes over its data', BOUND, async (t) => {
  const directory = await temporaryFolder(t);
  const { parent, pid } = await startedByAnother(t, directory);
  const client = clientOf(t, `unix://${directory}/redis.sock`);
  await client.set('key', 'kept');
  client.disconnect();
  parent.kill('SIGKILL');
  // At once, while the other may still be ending.
  const redis = await redisIn(t, directory);
  assert.notEqual(redis.pid, pid);
  assert.ok(!isAlive(pid), 'never two on one file');
  assert.equal(await clientOf(t, redis.url).get('key'), 'kept');
});

test('a pid file and a socket that a crash left behind do not matter', BOUND, async (t) => {
  const directory = await temporaryFolder(t);
  const { parent, pid } = await startedByAnother(t, directory);
  process.kill(pid, 'SIGKILL');
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  assert.equal(await clientOf(t, (await redisIn(t, directory)).url).ping(), 'PONG');
});

test('a data directory with a long name works too', BOUND, async (t) => {
  const directory = join(await temporaryFolder(t), 'x'.repeat(120));
  await mkdir(directory);
  const redis = await redisIn(t, directory);
  assert.equal(await clientOf(t, redis.url).ping(), 'PONG');
});

test('aborting the signal ends it; a start that fails says what the server said', BOUND, async (t) => {
  const stop = new AbortController();
  const redis = await startRedis({ directory: await temporaryFolder(t), signal: stop.signal });
  const { pid } = redis;
  stop.abort();
  await redis.close();
  assert.ok(pid !== null && !isAlive(pid));
  const broken = await temporaryFolder(t);
  await mkdir(join(broken, 'appendonlydir'));
  await writeFile(join(broken, 'appendonlydir', 'appendonly.aof.manifest'), 'nonsense');
  await assert.rejects(startRedis({ directory: broken, signal: new AbortController().signal }), { code: 'redis_start_failed' });
});

/** A process of its own that runs an embedded Redis and says its pid. */
async function startedByAnother(t: TestContext, directory: string) {
  const module = new URL('../../src/queue/redis-server.ts', import.meta.url).href;
  const program = `
    const { startRedis } = await import(${JSON.stringify(module)});
    const redis = await startRedis({ directory: ${JSON.stringify(directory)}, signal: new AbortController().signal });
    console.log(redis.pid);
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  atEnd(t, () => parent.kill('SIGKILL'));
  const [line] = await once(createInterface({ input: parent.stdout }), 'line');
  return { parent, pid: Number(line) };
}
