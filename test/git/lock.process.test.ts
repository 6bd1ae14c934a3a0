import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { holdLock } from '../../src/git/lock.ts';
import { temporary } from './repositories.ts';

const signal = AbortSignal.timeout(20_000);

/** Another process that holds the lock until its stdin is closed. */
async function otherProcess(t: { after: (fn: () => void) => void }, file: string) {
  const child = spawn('flock', [file, 'sh', '-c', 'echo held; exec cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

test('a lock that another process holds is waited for, and said so when it takes too long', async (t) => {
  const file = join(temporary(t), 'lock');
  const other = await otherProcess(t, file);
  await assert.rejects(holdLock(file, 1000, signal), { code: 'lock_timeout' });
  const waiting = holdLock(file, 10_000, signal);
  other.stdin.end();
  await using _held = await waiting;
});

test('one holder after the other, in the order of release', async (t) => {
  const file = join(temporary(t), 'lock');
  let inside = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    await using _held = await holdLock(file, 10_000, signal);
    inside += 1;
    most = Math.max(most, inside);
    await new Promise(setImmediate);
    inside -= 1;
  };
  await Promise.all([work(), work(), work(), work()]);
  assert.equal(most, 1);
});

test('waiting ends when it is aborted, and the lock is then free for others', async (t) => {
  const file = join(temporary(t), 'lock');
  const other = await otherProcess(t, file);
  const stop = new AbortController();
  const waiting = holdLock(file, 10_000, stop.signal);
  stop.abort(new Error('stopped by the test'));
  await assert.rejects(waiting, /stopped by the test/);
  other.stdin.end();
  await using _held = await holdLock(file, 10_000, signal);
});
