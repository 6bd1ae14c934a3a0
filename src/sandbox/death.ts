import { setTimeout as delay } from 'node:timers/promises';
import type Docker from 'dockerode';
import { type Engine, statusOf } from './engine.ts';
import type { CauseOfDeath } from './sandbox.ts';

/** How often a lost connection to the engine is taken up again before the sandbox counts as lost. */
const RETRIES = 5;

export interface DeathWatch {
  /** Settles once, never rejects. */
  readonly died: Promise<CauseOfDeath>;
  /** Names the cause before it takes effect: who kills knows better than who finds the corpse. The first one counts. */
  expect(cause: CauseOfDeath): void;
  /** Ends the watch; `died` settles now, whether or not the engine said so. */
  end(): void;
}

/** Waits for the end of a container and finds out why it ended. */
export function watchDeath(engine: Engine, container: Docker.Container): DeathWatch {
  const stop = new AbortController();
  const { promise: died, resolve } = Promise.withResolvers<CauseOfDeath>();
  let expected: CauseOfDeath | null = null;
  void untilGone(engine, container, stop.signal).then((found) => resolve(expected ?? found));
  return {
    died,
    expect(cause) {
      expected ??= cause;
    },
    end() {
      stop.abort();
      resolve(expected ?? 'unknown');
    },
  };
}

async function untilGone(engine: Engine, container: Docker.Container, signal: AbortSignal): Promise<CauseOfDeath> {
  for (let failures = 0; failures < RETRIES && !signal.aborted; failures += 1) {
    try {
      await container.wait({ abortSignal: signal });
    } catch (thrown) {
      if (statusOf(thrown) === 404) return 'killed';
    }
    const cause = await causeOf(engine, container);
    if (cause !== 'alive') return cause;
    await delay(500, undefined, { ref: false });
  }
  return 'unknown';
}

async function causeOf(engine: Engine, container: Docker.Container): Promise<CauseOfDeath | 'alive'> {
  try {
    const { State } = await engine.call('tell how a sandbox ended', (abortSignal) => container.inspect({ abortSignal }));
    if (State.Running) return 'alive';
    if (State.OOMKilled) return 'out_of_memory';
    return State.ExitCode > 128 ? 'killed' : 'exited';
  } catch (thrown) {
    // Gone is gone; an engine that does not answer may come back, so this counts as one more failure.
    return statusOf(thrown) === null ? 'alive' : 'killed';
  }
}
