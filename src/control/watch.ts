import { errorText } from '../errors.ts';
import type { Leases } from './leases.ts';
import type { ControlParts } from './parts.ts';
import type { AttemptRef } from './record.ts';

const EVERY_MS = 1000;
/** How often a host is woken again for an attempt that still waits: Redis may have lost the first time. */
const WAKE_AGAIN_MS = 5_000;
const RETRY_MS = 30_000;
/** How often kept changes are looked through for old ones. */
const KEPT_LOOK_MS = 3_600_000;

export interface WatchOptions {
  readonly parts: ControlParts;
  readonly leases: Leases;
  /** Brings an attempt to its end, in the background, one at a time per task. */
  readonly conclude: (task: string, attempt: number) => void;
  /** Works through deliveries that wait. */
  readonly deliveries: () => void;
}

/**
 * Looks again and again at what the store says is unfinished and nobody seems to be working on: the reason why a lost
 * wake-up, a lost host or a restart loses no task.
 */
export function startWatch(options: WatchOptions): { close(): Promise<void> } {
  const { parts, leases } = options;
  const { store, recorder } = parts;
  const doneAt = new Map<string, number>();
  let looking: Promise<void> = Promise.resolve();
  let busy = false;

  /** At most once in an interval per key. */
  const due = (key: string, everyMs: number): boolean => {
    const now = performance.now();
    if (now - (doneAt.get(key) ?? Number.NEGATIVE_INFINITY) < everyMs) return false;
    doneAt.set(key, now);
    return true;
  };

  async function lost(ref: AttemptRef, host: string): Promise<void> {
    leases.drop(ref);
    // From here on the host is fenced, so that it cannot hand over what is being given to another.
    if (!(await store.attempts.takeBack(ref.task, ref.attempt))) return;
    await recorder.control(ref, {
      type: 'attempt.lost',
      host,
      attempt: ref.attempt,
      why: `nothing was heard for ${leases.leaseMs} ms`,
    });
    options.conclude(ref.task, ref.attempt);
  }

  async function look(): Promise<void> {
    for (const attempt of await store.attempts.inState('running')) {
      const ref = { task: attempt.task, attempt: attempt.number };
      if (leases.expired(ref)) await lost(ref, attempt.host ?? 'unknown');
    }
    for (const attempt of await store.attempts.inState('queued')) {
      const { work } = await store.tasks.get(attempt.task);
      if (work === null || !due(`wake/${attempt.task}/${attempt.number}`, WAKE_AGAIN_MS)) continue;
      await parts.wake({ task: attempt.task, attempt: attempt.number });
    }
    for (const attempt of [...(await store.attempts.inState('handed_over')), ...(await store.attempts.unsealed())]) {
      if (due(`conclude/${attempt.task}/${attempt.number}`, RETRY_MS)) options.conclude(attempt.task, attempt.number);
    }
    if (due('deliveries', RETRY_MS)) options.deliveries();
    if (due('kept changes', KEPT_LOOK_MS)) {
      for (const change of await parts.changes.removeOld(Date.now()))
        parts.log.info({ change }, 'a held change was removed: too old');
    }
  }

  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    looking = look()
      .catch((error: unknown) => parts.log.error(`watch: ${errorText(error)}`))
      .finally(() => {
        busy = false;
      });
  }, EVERY_MS);

  return {
    async close() {
      clearInterval(timer);
      await looking;
    },
  };
}
