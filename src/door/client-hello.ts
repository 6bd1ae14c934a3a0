import { extensionParsers } from 'read-tls-client-hello';

/** What a TLS client asks for, as far as it can be seen: RFC 8446, section 4.1.2; RFC 6066, section 3. */
export type ClientHello =
  /** `name` is null when the client names no host. */
  | { readonly kind: 'hello'; readonly name: string | null }
  /** More bytes are needed. */
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'not_tls' }
  /** It is TLS, or looks like it, and cannot be told apart for certain. */
  | { readonly kind: 'refused'; readonly reason: string };

/** A record holds at most this much: RFC 8446, section 5.1. A hello that needs a second one is refused. Bytes. */
const RECORD_LIMIT = 16_384;
const RECORD_HEADER = 5;
/** The most that has to be read before a hello is known. Bytes. */
export const HELLO_LIMIT = RECORD_LIMIT + RECORD_HEADER;

const SERVER_NAME = 0x0000;
/** Encrypted ClientHello in its drafts and as it became, the list that only an inner hello has, and its forerunner ESNI. */
const ENCRYPTED: ReadonlySet<number> = new Set([0xfe08, 0xfe09, 0xfe0a, 0xfe0b, 0xfe0c, 0xfe0d, 0xfd00, 0xffce]);

const refused = (reason: string): ClientHello => ({ kind: 'refused', reason });

/**
 * Reads the host that a TLS client names from the first bytes of its connection. One record has to hold one whole hello
 * and nothing else, every length in it has to fit, and the maintained parser has to read the same name: what two
 * readers could take differently is refused. What follows the record is not looked at.
 *
 * That parser's reading of whole hellos waits some forty times on a stream, which was half of what a tunnel cost: here
 * it reads the name alone, and the tests hold whole hellos, tampered with, against it and against a real TLS server.
 */
export function readClientHello(bytes: Buffer): ClientHello {
  const record = recordOf(bytes);
  if (!Buffer.isBuffer(record)) return record;
  const extensions = extensionsOf(record.subarray(RECORD_HEADER));
  if (extensions === null) return refused('the TLS hello is malformed, or split over several records');
  const ids = extensions.map(({ id }) => id);
  if (new Set(ids).size !== ids.length) return refused('the TLS hello holds an extension twice');
  if (ids.some((id) => ENCRYPTED.has(id))) return refused('the TLS hello is encrypted, so its name cannot be checked');
  const named = extensions.find(({ id }) => id === SERVER_NAME);
  const name = named === undefined ? null : nameOf(named.data);
  if (name instanceof Error) return refused(name.message);
  if (named !== undefined && nameByParser(named.data) !== name)
    return refused('the name in the TLS hello can be read in two ways');
  return { kind: 'hello', name };
}

/** The first record, whole. */
function recordOf(bytes: Buffer): Buffer | ClientHello {
  if (bytes.length > 0 && bytes[0] !== 0x16) return { kind: 'not_tls' };
  if (bytes.length > 1 && bytes[1] !== 3) return { kind: 'not_tls' };
  if (bytes.length < RECORD_HEADER) return { kind: 'incomplete' };
  const length = bytes.readUInt16BE(3);
  if (length === 0 || length > RECORD_LIMIT) return refused('the TLS hello is in a record of a length that no record has');
  if (bytes.length > RECORD_HEADER && bytes[RECORD_HEADER] !== 1)
    return refused('the TLS connection does not begin with a hello');
  if (bytes.length < RECORD_HEADER + length) return { kind: 'incomplete' };
  return bytes.subarray(0, RECORD_HEADER + length);
}

interface Extension {
  readonly id: number;
  readonly data: Buffer;
}

/** Takes length-prefixed pieces off a buffer; null once something does not fit. */
class Pieces {
  #rest: Buffer | null;

  constructor(bytes: Buffer) {
    this.#rest = bytes;
  }

  get atEnd(): boolean {
    return this.#rest?.length === 0;
  }

  take(length: number): Buffer | null {
    const rest = this.#rest;
    this.#rest = rest === null || rest.length < length ? null : rest.subarray(length);
    return rest === null || this.#rest === null ? null : rest.subarray(0, length);
  }

  number(bytes: 1 | 2 | 3): number | null {
    return this.take(bytes)?.readUIntBE(0, bytes) ?? null;
  }

  prefixed(by: 1 | 2 | 3): Buffer | null {
    const length = this.number(by);
    return length === null ? null : this.take(length);
  }
}

/** The extensions of a hello whose lengths all fit exactly; null for any other message. */
function extensionsOf(message: Buffer): readonly Extension[] | null {
  const whole = new Pieces(message);
  if (whole.number(1) !== 1) return null;
  const body = whole.prefixed(3);
  if (body === null || !whole.atEnd) return null;
  const hello = new Pieces(body);
  const fixed = hello.take(2 + 32);
  const [session, suites, compressions] = [hello.prefixed(1), hello.prefixed(2), hello.prefixed(1)];
  if (fixed === null || session === null || suites === null || compressions === null) return null;
  if (session.length > 32 || suites.length === 0 || suites.length % 2 !== 0 || compressions.length === 0) return null;
  const block = hello.prefixed(2);
  if (block === null || !hello.atEnd) return null;
  const found: Extension[] = [];
  for (const pieces = new Pieces(block); !pieces.atEnd; ) {
    const [id, data] = [pieces.number(2), pieces.prefixed(2)];
    if (id === null || data === null) return null;
    found.push({ id, data });
  }
  return found;
}

/** The one host name of a server_name extension, in lower case. */
function nameOf(data: Buffer): string | Error {
  const extension = new Pieces(data);
  const list = extension.prefixed(2);
  if (list === null || !extension.atEnd) return new Error('the name in the TLS hello is malformed');
  const entries = new Pieces(list);
  const type = entries.number(1);
  const name = entries.prefixed(2);
  if (type !== 0 || name === null || name.length === 0) return new Error('the name in the TLS hello is malformed');
  if (!entries.atEnd) return new Error('the TLS hello names more than one host');
  const text = name.toString('latin1');
  if (!/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(text)) return new Error('the name in the TLS hello is no host name');
  return text.toLowerCase();
}

/** What the maintained parser takes for the name in the same extension. */
function nameByParser(data: Buffer): string | null {
  try {
    return extensionParsers[SERVER_NAME](data)?.serverName?.toLowerCase() ?? null;
  } catch {
    return null; // it reads past the end of what is malformed
  }
}
