import type { VendorFeature } from '../policy/vendor-features.ts';
import type { JsonObject } from './wire-dialect.ts';

/**
 * Request bodies are checked against what is known to be harmless, not against what is known to reach out: the
 * vendor's own web fetch, code execution, remote MCP, URL inputs and stored files are egress by another name,
 * and vendors add to them. What is not in these lists is refused by name.
 */
export interface Refusal {
  /** For a person: `the tool "web_fetch_20250910"`. */
  readonly what: string;
  /** What the operator would have to grant for it; null for what no grant opens. */
  readonly feature: VendorFeature | null;
}

/** Refused whatever is granted. */
export const never = (what: string): Refusal => ({ what, feature: null });

/** What is left of refusals where some features are granted. */
export const withoutGranted = (refusals: readonly Refusal[], granted: ReadonlySet<VendorFeature>): Refusal[] =>
  refusals.filter(({ feature }) => feature === null || !granted.has(feature));

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The members that are not in the list and hold anything; `features` says which of them a grant opens. */
export function unknownFields(
  body: JsonObject,
  known: ReadonlySet<string>,
  features: Readonly<Record<string, VendorFeature>>,
): Refusal[] {
  return Object.keys(body)
    .filter((name) => !known.has(name) && body[name] !== undefined && body[name] !== null)
    .map((name) => ({
      what: `the field "${name.slice(0, 60)}"`,
      feature: Object.hasOwn(features, name) ? (features[name] ?? null) : null,
    }));
}

/** The value as a list of objects; anything else in its place is refused under the given name. */
export function objects(value: unknown, what: string): { list: readonly JsonObject[]; refused: Refusal[] } {
  if (value === undefined || value === null) return { list: [], refused: [] };
  if (!Array.isArray(value)) return { list: [], refused: [never(`${what} that are no list`)] };
  const list = value.filter(isObject);
  return { list, refused: list.length === value.length ? [] : [never(`${what} of another kind`)] };
}

/** A name from a request body, as it may stand in a message. */
export const named = (value: unknown): string => (typeof value === 'string' ? `"${value.slice(0, 60)}"` : 'without a name');
