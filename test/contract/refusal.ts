/** Asserting that GitHub refused, and how. */
import assert from 'node:assert/strict';
import { z } from 'zod';

const Refusal = z.object({
  status: z.int(),
  message: z.string(),
  response: z.object({ data: z.looseObject({ message: z.string(), documentation_url: z.string().optional() }) }),
});

/** Waits for a call to be refused with this status, and a message where one is given. */
export async function refused(call: Promise<unknown>, status: number, message?: RegExp): Promise<void> {
  const outcome = await call.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  assert.notEqual(outcome, null, `a refusal with ${status} was expected, and the call went through`);
  const refusal = Refusal.parse(outcome);
  assert.equal(refusal.status, status, refusal.message);
  if (message) assert.match(refusal.message, message);
}
