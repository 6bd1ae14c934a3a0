import { z } from 'zod';
import { canonical, sha256, wellFormed } from './canonical.ts';
import { ControlEvent, HostEvent, RecordedEvent, type Witness } from './events.ts';

const AnyEvent = z.union([HostEvent, ControlEvent]);

/** Where a chain stands: the sequence number and the hash of its last event. */
export interface ChainHead {
  readonly seq: number;
  readonly hash: string;
}

/**
 * Where the chain of an attempt begins: no event yet, and a hash that names the task and the attempt, so that the
 * events of one attempt cannot be passed off as those of another.
 */
export function genesis(of: { task: string; attempt: number }): ChainHead {
  return { seq: -1, hash: sha256(canonical({ statement: 'coatcheck record', task: of.task, attempt: of.attempt })) };
}

/** The hash that links an event: over the canonical form of everything in it but the hash itself. */
export function linkHash(unhashed: Readonly<Record<string, unknown>>): string {
  return sha256(canonical(unhashed));
}

/**
 * Makes the next event of a chain. `previous` is the event before it, or `genesis(…)` for the first.
 *
 * @throws ZodError when the event is not one of the types that a record holds; CoatcheckError `not_canonical`.
 */
export function appendEvent(
  previous: ChainHead,
  entry: { at: string; witness: Witness; event: HostEvent | ControlEvent },
): RecordedEvent {
  const unhashed = {
    seq: previous.seq + 1,
    at: entry.at,
    witness: entry.witness,
    // Parsed before it is hashed: a schema may fill in defaults.
    event: AnyEvent.parse(wellFormed(entry.event)),
    previous: previous.hash,
  };
  return RecordedEvent.parse({ ...unhashed, hash: linkHash(unhashed) });
}
