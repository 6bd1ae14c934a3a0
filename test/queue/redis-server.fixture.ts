import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Redis } from 'ioredis';
import { redisOptions } from '../../src/queue/connection.ts';
import { openQueue, type Queue } from '../../src/queue/queue.ts';
import { type EmbeddedRedis, startRedis } from '../../src/queue/redis-server.ts';

const stacks = new WeakMap<TestContext, AsyncDisposableStack>();

/** Released last-in first-out when the test ends; the runner's own hooks run in the order in which they were set. */
export function atEnd(t: TestContext, release: () => unknown): void {
  let stack = stacks.get(t);
  if (stack === undefined) {
    const made = new AsyncDisposableStack();
    stacks.set(t, made);
    t.after(() => made.disposeAsync());
    stack = made;
  }
  stack.defer(async () => {
    await release();
  });
}

export const TASK = '01jd3f7z0kq8m5v2x9c4b6n7ha';

export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'coatcheck-queue-'));
  atEnd(t, () => rm(folder, { recursive: true, force: true }));
  return folder;
}

export async function redisIn(t: TestContext, directory: string): Promise<EmbeddedRedis> {
  const redis = await startRedis({ directory, signal: new AbortController().signal });
  atEnd(t, () => redis.close());
  return redis;
}

export async function newRedis(t: TestContext): Promise<EmbeddedRedis> {
  return redisIn(t, await temporaryFolder(t));
}

export async function queueOn(t: TestContext, url: string, log: string[] = []): Promise<Queue> {
  const queue = await openQueue({ url, log: (line) => log.push(line), lockMs: 1500 });
  atEnd(t, () => queue.close());
  return queue;
}

/** A plain client, for looking and for meddling. */
export function clientOf(t: TestContext, url: string): Redis {
  const client = new Redis(redisOptions(url));
  client.on('error', () => {});
  atEnd(t, () => client.disconnect());
  return client;
}

/** Looks again until it holds; the test's own time limit is the bound. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise<void>((resolve) => setTimeout(resolve, 10));
}

/** Whether a process runs; one that has ended and waits to be collected does not. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
