/** Kinds of probes, in the order in which they are shown. */
export const CLASSES = ['escape', 'network', 'sockets', 'dns', 'metadata', 'egress', 'credentials', 'door', 'resources'] as const;
export type ProbeClass = (typeof CLASSES)[number];

/** What came of one attempt. */
export interface Observation {
  /** The attempt failed as it should. */
  readonly held: boolean;
  /** What was observed, for a person: an errno, a status and reason, counts. */
  readonly seen: string;
  /** What shows that the attempt could have succeeded; when it did not work, nothing is proven. */
  readonly control: { readonly worked: boolean; readonly how: string };
}

/** One attempt from inside a sandbox, or a look at one from outside. */
export interface Probe<Ground> {
  readonly class: ProbeClass;
  /** Unique, in words. */
  readonly name: string;
  readonly attempt: string;
  readonly expected: string;
  run(ground: Ground): Promise<Observation>;
}

/** A probe that this machine gives no place for, with the reason. */
export class NotHere extends Error {}
