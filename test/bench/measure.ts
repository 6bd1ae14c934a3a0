/** Comparisons: runs of two sides that take turns, so that what else the machine does falls on both alike. */

/** What one run of one side measured, by name. */
export type Measured<Name extends string> = Readonly<Record<Name, number>>;

/** Two sides under one measure. */
export interface Comparison {
  /** Medians over all rounds. */
  readonly one: number;
  readonly other: number;
  /** Median of `one / other` within each round, its lowest and its highest. */
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
  readonly rounds: number;
}

export interface Side<Name extends string> {
  readonly name: string;
  run(signal: AbortSignal): Promise<Measured<Name>>;
}

/**
 * Runs both sides in turns, the first one changing from round to round, after one run of each that is not counted.
 * The ratio is taken within each round, so a machine that becomes slower half-way shows in the medians and not in it.
 */
export async function interleaved<Name extends string>(
  one: Side<Name>,
  other: Side<Name>,
  rounds: number,
  signal: AbortSignal,
): Promise<Record<Name, Comparison>> {
  const first = await one.run(signal);
  await other.run(signal);
  const pairs: { readonly one: Measured<Name>; readonly other: Measured<Name> }[] = [];
  for (let round = 0; round < rounds; round++) {
    signal.throwIfAborted();
    if (round % 2 === 0) pairs.push({ one: await one.run(signal), other: await other.run(signal) });
    else {
      const measured = await other.run(signal);
      pairs.push({ one: await one.run(signal), other: measured });
    }
  }
  const compare = (name: Name): Comparison => {
    const ratios = pairs.map((pair) => pair.one[name] / pair.other[name]);
    return {
      one: median(pairs.map((pair) => pair.one[name])),
      other: median(pairs.map((pair) => pair.other[name])),
      ratio: median(ratios),
      low: Math.min(...ratios),
      high: Math.max(...ratios),
      rounds,
    };
  };
  return mapValues(first, compare);
}

function mapValues<Name extends string>(like: Measured<Name>, make: (name: Name) => Comparison): Record<Name, Comparison> {
  const made: Partial<Record<Name, Comparison>> = {};
  for (const name in like) made[name] = make(name);
  return made as Record<Name, Comparison>;
}

/** The middle value, or the mean of the two in the middle. NaN for no values. */
export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** Linear between the two nearest values. `at` from 0 to 1. */
export function quantile(values: readonly number[], at: number): number {
  const sorted = [...values].sort((left, right) => left - right);
  const place = (sorted.length - 1) * at;
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}
