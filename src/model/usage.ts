import { z } from 'zod';

/** Prices in US dollars per million tokens. What is not given for cached tokens is taken at the input price. */
export const Price = z.strictObject({
  input: z.number().nonnegative(),
  output: z.number().nonnegative(),
  cachedInput: z.number().nonnegative().optional(),
  cacheWrite: z.number().nonnegative().optional(),
});
export type Price = z.infer<typeof Price>;

/** Tokens of one call, the same way for every dialect. */
export interface Usage {
  /** Everything that went in, cached or not. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Part of the input that was read from the vendor's cache. */
  readonly cachedTokens: number;
  /** Part of the input that was written to the vendor's cache. */
  readonly cacheWriteTokens: number;
}

export const NO_USAGE: Usage = { inputTokens: 0, outputTokens: 0, cachedTokens: 0, cacheWriteTokens: 0 };

/** The cost of one call in US dollars, or null when its price is not known. */
export function costOf(usage: Usage, price: Price | undefined): number | null {
  if (price === undefined) return null;
  const plain = Math.max(0, usage.inputTokens - usage.cachedTokens - usage.cacheWriteTokens);
  const dollars =
    plain * price.input +
    usage.cachedTokens * (price.cachedInput ?? price.input) +
    usage.cacheWriteTokens * (price.cacheWrite ?? price.input) +
    usage.outputTokens * price.output;
  return dollars / 1_000_000;
}

/** What an answer has told so far about itself. */
export interface Observed {
  usage: Usage;
  /** The model's name as the answer gives it. */
  model: string | null;
  /** Whether the counts are final: the answer came to its end and told them. */
  complete: boolean;
}

/**
 * What is charged for a call. An answer that ended before it told its counts is charged for what was sent and for
 * what arrived, estimated from bytes, so that cutting connections is no way around a budget.
 */
export function charged(observed: Observed, sentBytes: number, receivedBytes: number): { usage: Usage; estimated: boolean } {
  if (observed.complete) return { usage: observed.usage, estimated: false };
  const { usage } = observed;
  return {
    usage: {
      ...usage,
      inputTokens: usage.inputTokens > 0 ? usage.inputTokens : tokensOf(sentBytes),
      outputTokens: Math.max(usage.outputTokens, tokensOf(receivedBytes)),
    },
    estimated: true,
  };
}

/** A guess at the tokens in so many bytes of JSON; rather too many than too few for text and code. */
export const tokensOf = (bytes: number): number => Math.ceil(bytes / 3);
