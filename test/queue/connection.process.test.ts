import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redisOptions } from '../../src/queue/connection.ts';
import { openQueue } from '../../src/queue/queue.ts';
import { jobIdOf, Wake } from '../../src/queue/wake.ts';

test('Redis URLs of each kind are read', () => {
  const read = (url: string) => {
    const { retryStrategy, connectTimeout, ...rest } = redisOptions(url);
    assert.ok(retryStrategy(1) <= 100 && retryStrategy(1000) === 2000 && connectTimeout > 0);
    return rest;
  };
  assert.deepEqual(read('redis://127.0.0.1'), { host: '127.0.0.1', port: 6379 });
  assert.deepEqual(read('rediss://user:p%40ss@redis.test:7000/2'), {
    host: 'redis.test',
    port: 7000,
    username: 'user',
    password: 'p@ss',
    db: 2,
    tls: {},
  });
  assert.deepEqual(read('redis://[::1]:6400'), { host: '::1', port: 6400 });
  assert.deepEqual(read('unix:///var/lib/a%20b/redis.sock'), { path: '/var/lib/a b/redis.sock' });
});

test('a Redis that is not there is said so, at once', async () => {
  await assert.rejects(openQueue({ url: 'redis://127.0.0.1:1' }), { code: 'queue_unavailable' });
});

test('a wake-up has an id that BullMQ takes', () => {
  const wake = { task: '01jd3f7z0kq8m5v2x9c4b6n7ha', attempt: 12 };
  assert.deepEqual(Wake.parse(wake), wake);
  assert.equal(jobIdOf(wake), '01jd3f7z0kq8m5v2x9c4b6n7ha-12');
});
