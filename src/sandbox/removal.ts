import { setTimeout as delay } from 'node:timers/promises';
import type Docker from 'dockerode';
import { CoatcheckError } from '../errors.ts';
import { type Engine, statusOf } from './engine.ts';
import { killBelow } from './orphans.ts';

/** How long a container may take to be gone after its removal was asked for. Usually 0.2 to 0.7 s. */
const GONE_MS = 20_000;
/** The engine waits for ever for a guest that hangs, and for one whose end it missed. */
const CALL_MS = 5000;

/**
 * Kills and removes a container with its volumes and looks that it is gone; one that is not there is no error.
 * @throws CoatcheckError `cleanup_failed` when it is still there, `engine_unreachable`.
 */
export async function removeContainer(engine: Engine, container: Docker.Container): Promise<void> {
  const until = performance.now() + GONE_MS;
  let last = '';
  do {
    try {
      await engine.call('remove a sandbox', (abortSignal) => container.remove({ force: true, v: true, abortSignal }), {
        ms: CALL_MS,
      });
    } catch (thrown) {
      // 409: somebody else's removal is under way, 500: the runtime could not kill it this time. Both are seen below.
      if (statusOf(thrown) === null && !(await killBelow(container.id))) throw thrown;
      last = thrown instanceof Error ? thrown.message : '';
    }
    if (await isGone(engine, container)) return;
    await delay(100);
  } while (performance.now() < until);
  throw new CoatcheckError(
    'cleanup_failed',
    `The sandbox ${container.id.slice(0, 12)} is still there ${GONE_MS / 1000} s after its removal was asked for. ${last}`.trim(),
    'The next sweep tries again; `docker rm -f` removes it by hand.',
  );
}

async function isGone(engine: Engine, container: Docker.Container): Promise<boolean> {
  try {
    await engine.call('look for a removed sandbox', (abortSignal) => container.inspect({ abortSignal }));
    return false;
  } catch (thrown) {
    if (statusOf(thrown) === 404) return true;
    throw thrown;
  }
}
