import { setTimeout as after } from 'node:timers/promises';
import { errorText } from '../errors.ts';

const PAUSE_MS = 10_000;

/**
 * Hands deliveries on one after the other. One that cannot be kept now is tried again until it can: who is asked for the
 * next takes the last one for done, and nobody would send it once more. Ends with the signal, without throwing.
 */
export async function takeIn<T>(
  deliveries: AsyncIterable<T>,
  accept: (delivery: T) => Promise<unknown>,
  options: { readonly signal: AbortSignal; readonly trouble: (text: string) => void; readonly pauseMs?: number },
): Promise<void> {
  const { signal, trouble, pauseMs = PAUSE_MS } = options;
  for await (const delivery of deliveries) {
    for (let kept = false; !kept && !signal.aborted; ) {
      try {
        await accept(delivery);
        kept = true;
      } catch (error) {
        trouble(`a delivery could not be kept and is tried again: ${errorText(error)}`);
        await after(pauseMs, undefined, { signal }).catch(() => undefined);
      }
    }
    if (signal.aborted) return;
  }
}
