import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { CoatcheckError } from '../errors.ts';

/**
 * Waits for the exclusive lock on a file, also against other processes of this machine, and holds it until disposed.
 *
 * The lock is held by a child, `flock FILE sh`, for as long as its stdin is open: the kernel releases it when
 * this process ends, however it ends. Node has no call for flock(2) of its own.
 * @throws CoatcheckError `lock_timeout`; the signal's reason when it is aborted.
 */
export async function holdLock(file: string, timeoutMs: number, signal: AbortSignal): Promise<AsyncDisposable> {
  signal.throwIfAborted();
  const wait = String(Math.max(1, Math.ceil(timeoutMs / 1000)));
  const child = spawn('flock', ['--exclusive', '--wait', wait, '--', file, 'sh', '-c', 'echo held; exec cat >/dev/null'], {
    env: { PATH: '/usr/bin:/bin' },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.on('error', () => {}); // it ended without the lock
  const closed = once(child, 'close');
  const giveUp = (): void => {
    child.stdin.destroy(); // ends a shell that has the lock already
    child.kill('SIGKILL');
  };
  signal.addEventListener('abort', giveUp, { once: true });
  const held = await Promise.race([
    once(child.stdout, 'data').then(() => true),
    closed.then(
      () => false,
      () => false,
    ),
  ]);
  signal.removeEventListener('abort', giveUp);
  if (!held || signal.aborted) {
    giveUp();
    signal.throwIfAborted();
    throw new CoatcheckError(
      'lock_timeout',
      `${file} was held by another process for ${wait} s.`,
      'See which process holds it: fuser.',
    );
  }
  return {
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await closed;
    },
  };
}
