import type { AttemptRef } from './record.ts';

/**
 * When each host was last heard, on the monotonic clock: a jump of the wall clock ends no lease. A host that was silent
 * for longer than `leaseMs` has lost its attempt.
 * After a restart of the control plane every running attempt starts with a whole lease.
 */
export function leases(leaseMs: number, now: () => number = () => performance.now()) {
  const heard = new Map<string, number>();
  const key = (ref: AttemptRef) => `${ref.task}/${ref.attempt}`;
  return {
    leaseMs,
    renew: (ref: AttemptRef): void => void heard.set(key(ref), now()),
    drop: (ref: AttemptRef): void => void heard.delete(key(ref)),
    expired(ref: AttemptRef): boolean {
      const at = heard.get(key(ref));
      if (at === undefined) {
        heard.set(key(ref), now());
        return false;
      }
      return now() - at > leaseMs;
    },
  };
}
export type Leases = ReturnType<typeof leases>;
