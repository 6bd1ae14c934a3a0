import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { CoatcheckError } from '../errors.ts';

/**
 * The one way a value is written before it is hashed or signed: JSON in RFC 8785 form (sorted keys, no blanks).
 *
 * @throws CoatcheckError `not_canonical` for what has no such form (NaN, infinity, half a surrogate pair, a cycle).
 */
export function canonical(value: unknown): string {
  try {
    const text = canonicalize(value);
    if (text !== undefined) return text;
  } catch (cause) {
    throw notCanonical(cause);
  }
  throw notCanonical(undefined);
}

const notCanonical = (cause: unknown) =>
  new CoatcheckError('not_canonical', 'A value cannot be written as canonical JSON.', 'This is a defect: report it.', { cause });

/** SHA-256 in lower-case hex. */
export const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');

/**
 * The same value in the form in which it is stored: members that are `undefined` are gone, and half a surrogate pair
 * (which output cut in the middle of an emoji has) is replaced, for RFC 8785 refuses to write it.
 */
export function wellFormed(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed();
  if (Array.isArray(value)) return value.map(wellFormed);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(kept.map(([name, member]) => [name.toWellFormed(), wellFormed(member)]));
}
