import type { AttemptRef } from './record.ts';

/** How long a host may be silent before its attempt is taken for lost. */
export const LEASE_MS = 15_000;

/**
 * When each host was last heard, on the monotonic clock: a jump of the wall clock ends no lease.
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
