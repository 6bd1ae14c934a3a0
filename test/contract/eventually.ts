import { setTimeout as pause } from 'node:timers/promises';

const WITHIN_MS = 20_000;
const AGAIN_AFTER_MS = 100;

/** Asks until there is an answer: what follows from a call on GitHub takes its time. @throws Error after 20 seconds */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const until = performance.now() + WITHIN_MS;
  for (let wait = AGAIN_AFTER_MS; performance.now() < until; wait = Math.min(wait * 2, 2_000)) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await pause(wait);
  }
  throw new Error(`not within ${WITHIN_MS} ms: ${what}`);
}
