/** The outside and doors by need, each a process of its own as in a task. */
import type { DoorOptions } from '../../src/door/door.ts';
import { type Rig, rig, type Sink, sink, type Teardown } from '../e2e/door-rig.ts';

export const HERE = '127.0.0.1';

/** What the cases of one file share. */
export interface DoorTarget {
  /** Speaks TLS. */
  readonly up: Sink;
  /** Does not. */
  readonly plain: Sink;
  readonly teardown: Teardown;
  open(change?: Partial<DoorOptions>): Promise<Rig>;
}

export async function doorTarget(t: Teardown): Promise<DoorTarget> {
  const [up, plain] = await Promise.all([sink(t), sink(t, undefined, { tls: false })]);
  return { up, plain, teardown: t, open: (change = {}) => rig(t, { hosts: { 'up.test': HERE }, ...change }) };
}
