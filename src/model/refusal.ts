import type { JsonObject } from './wire-dialect.ts';

/**
 * Request bodies are checked against what is known to be harmless, not against what is known to reach out: the
 * vendor's own web fetch, code execution, remote MCP, URL inputs and stored files are egress by another name,
 * and vendors add to them. What is not in these lists is refused by name.
 */
export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The names of members that are not in the list and hold anything. */
export function unknownFields(body: JsonObject, known: ReadonlySet<string>): string[] {
  return Object.keys(body)
    .filter((name) => !known.has(name) && body[name] !== undefined && body[name] !== null)
    .map((name) => `the field "${name.slice(0, 60)}"`);
}

/** The value as a list of objects; anything else in its place is refused under the given name. */
export function objects(value: unknown, what: string): { list: readonly JsonObject[]; refused: string[] } {
  if (value === undefined || value === null) return { list: [], refused: [] };
  if (!Array.isArray(value)) return { list: [], refused: [`${what} that are no list`] };
  const list = value.filter(isObject);
  return { list, refused: list.length === value.length ? [] : [`${what} of another kind`] };
}

/** A name from a request body, as it may stand in a message. */
export const named = (value: unknown): string => (typeof value === 'string' ? `"${value.slice(0, 60)}"` : 'without a name');
