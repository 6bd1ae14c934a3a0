import type { Comparison } from './measure.ts';

/** One line of the table that a bench prints. */
export interface Row extends Comparison {
  readonly workload: string;
  readonly measure: string;
  readonly unit: string;
  /** Which way is good. */
  readonly better: 'higher' | 'lower';
}

export interface Finding {
  /** The names of the two sides: the ratio is the first divided by the second. */
  readonly sides: readonly [string, string];
  readonly rows: readonly Row[];
  /** What was measured on what: versions and settings, one sentence each. */
  readonly notes: readonly string[];
  /** What the bench has to keep and does not: it ends with 1 then. */
  readonly missed: readonly string[];
}

/** A comparison that is run by name: `npm run bench -- NAME`. */
export interface Bench {
  /** What is compared with what, in one line. */
  readonly about: string;
  /** What the machine lacks for it, as the command that brings it; null when nothing is missing. */
  lacks(): string | null;
  /** `quick`: few rounds and small amounts, to see that it works. `only`: workloads whose name holds this text. */
  run(how: { readonly quick: boolean; readonly only: string; readonly signal: AbortSignal }): Promise<Finding>;
}
