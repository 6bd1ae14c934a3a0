import type { Refusal } from './refusal.ts';
import type { Observed } from './usage.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** What the gateway needs to know about a wire dialect, and nothing more: bodies pass through otherwise unread. */
export interface Dialect {
  /** Paths that are served, below the mount point; `counted`: whether a call spends tokens. */
  readonly paths: Readonly<Record<string, { readonly counted: boolean }>>;
  /** Where a path is served, given the provider's base URL. */
  url(baseUrl: string, path: string): string;
  /** Headers that carry the real key. */
  authorization(apiKey: string): Readonly<Record<string, string>>;
  /** Client headers that pass. */
  readonly requestHeaders: readonly string[];
  /** What in a request body would let the vendor reach out, or is not known; empty when the body may pass without any grant. */
  refused(body: JsonObject): readonly Refusal[];
  /** The body as it is sent on, with the granted model. */
  outgoing(body: JsonObject, model: string): JsonObject;
  /** The most tokens that the answer may have. */
  outputLimit(body: JsonObject): number;
  /** Takes note of one message of the answer: the whole of a JSON answer, or the data of one server-sent event. */
  observe(message: unknown, seen: Observed): void;
  /** An error in the shape that the dialect's clients read. */
  error(type: string, message: string): JsonObject;
}

/** Taken as the answer's size where a request names none. */
export const DEFAULT_OUTPUT_TOKENS = 16_384;
