import { setTimeout as delay } from 'node:timers/promises';
import { maybeApplied } from './failure.ts';

/** How often something is tried to be made, the first time included. */
const TRIES = 3;

export interface Once<T> {
  /** Finds what a former try has made. */
  look: () => Promise<T | null>;
  make: () => Promise<T>;
  /** Whether GitHub refuses because it is there already. */
  exists?: (error: unknown) => boolean;
  /** What a second of waiting between tries takes, in milliseconds. */
  secondMs: number;
  signal?: AbortSignal | undefined;
}

/**
 * Makes something that must not be made twice: looks before the first try and again whenever an answer is lost, so that a
 * POST is never repeated blindly. `found` says that it was there.
 */
export async function makeOnce<T>({ look, make, exists, secondMs, signal }: Once<T>): Promise<{ made: T; found: boolean }> {
  for (let tries = 1; ; tries++) {
    const present = await look();
    if (present !== null) return { made: present, found: true };
    try {
      return { made: await make(), found: false };
    } catch (error) {
      const there = maybeApplied(error) || exists?.(error) === true ? await look().catch(() => null) : null;
      if (there !== null) return { made: there, found: true };
      if (!maybeApplied(error) || tries === TRIES) throw error;
      await delay(tries * tries * secondMs, undefined, signal === undefined ? {} : { signal });
    }
  }
}
