import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { z } from 'zod';
import { errorText } from '../errors.ts';
import { canonical, sha256 } from './canonical.ts';
import { type ChainHead, genesis, linkHash } from './chain.ts';
import { Witness } from './events.ts';
import { keyId } from './key.ts';
import { Envelope, PAYLOAD_TYPE, preAuthEncoding, RecordHeader, RecordStatement } from './statement.ts';

/**
 * An event as verification reads it: the chain's own fields strictly, what happened loosely, so that a record of
 * a later version with types of events unknown here can still be checked.
 */
const ChainedEvent = z.strictObject({
  seq: z.int().nonnegative(),
  at: z.iso.datetime(),
  witness: Witness,
  event: z.looseObject({ type: z.string() }),
  previous: z.string(),
  hash: z.string(),
});
export type ChainedEvent = z.infer<typeof ChainedEvent>;

export type RecordVerdict =
  | {
      readonly ok: true;
      readonly header: RecordHeader;
      readonly events: readonly ChainedEvent[];
      readonly head: string;
      readonly sealed: RecordStatement;
      /** `self`: the key is known from the file alone. `given`: it is one that the verifier brought along. */
      readonly key: { readonly id: string; readonly attested: 'self' | 'given' };
    }
  | {
      readonly ok: false;
      /** `line` counts from 1; `seq` is null for the header and the envelope. */
      readonly firstBad: { readonly line: number; readonly seq: number | null; readonly why: string };
    };

/** Ends the check at the first thing that is wrong. */
class BadLine extends Error {
  readonly line: number;
  readonly seq: number | null;

  constructor(line: number, seq: number | null, why: string) {
    super(why);
    this.line = line;
    this.seq = seq;
  }
}

/**
 * Checks a record file, offline: every line byte-exact in canonical form, no gap in the sequence, every link of the
 * chain, the digest of the whole and the signature. Without `publicKeys` the signature is checked with the key that
 * the file carries, which shows only that the file is one piece: see `key.attested`.
 */
export function verifyRecord(bytes: Uint8Array, publicKeys: readonly KeyObject[] = []): RecordVerdict {
  try {
    return checked(bytes, publicKeys);
  } catch (thrown) {
    if (!(thrown instanceof BadLine)) throw thrown;
    return { ok: false, firstBad: { line: thrown.line, seq: thrown.seq, why: thrown.message } };
  }
}

function checked(bytes: Uint8Array, publicKeys: readonly KeyObject[]): RecordVerdict {
  const lines = linesOf(bytes);
  const last = lines.length;
  const header = read(RecordHeader, lines[0], 1, null);
  const events = checkChain(lines.slice(1, -1), header);
  const envelope = read(Envelope, lines.at(-1), last, null);
  const key = checkSignature(envelope, header, publicKeys, last);
  const sealed = read(RecordStatement, payloadOf(envelope, last), last, null);
  const head = events.at(-1)?.hash ?? genesis(header).hash;
  checkStatement(sealed, header, events, head, last);
  const body = bytes.subarray(0, bytes.byteLength - Buffer.byteLength(lines.at(-1) ?? '') - 1);
  const record = sealed.subject.find((subject) => 'sha256' in subject.digest);
  if (record?.digest['sha256'] !== sha256(body))
    throw new BadLine(1, null, 'the digest of the record is not the one that was sealed');
  return { ok: true, header, events, head, sealed, key };
}

function linesOf(bytes: Uint8Array): readonly string[] {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new BadLine(lineOfBadByte(bytes), null, 'not UTF-8');
  }
  const lines = text.split('\n');
  if (lines.pop() !== '' || lines.length === 0) throw new BadLine(lines.length + 1, null, 'the last line is cut off');
  if (lines.length === 1) throw new BadLine(2, null, 'the seal is missing: the record was cut off or never sealed');
  return lines;
}

function lineOfBadByte(bytes: Uint8Array): number {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let line = 1;
  for (let start = 0; start < bytes.length; line += 1) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline === -1 ? bytes.length : newline;
    try {
      decoder.decode(bytes.subarray(start, end));
    } catch {
      return line;
    }
    start = end + 1;
  }
  return line;
}

function read<Schema extends z.ZodType>(
  schema: Schema,
  text: string | undefined,
  line: number,
  seq: number | null,
): z.infer<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(text ?? '');
    if (canonical(value) !== text) throw new BadLine(line, seq, 'not in canonical form');
  } catch (thrown) {
    throw thrown instanceof BadLine ? thrown : new BadLine(line, seq, `not readable: ${errorText(thrown)}`);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new BadLine(line, seq, `not what belongs here: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

function checkChain(lines: readonly string[], header: RecordHeader): readonly ChainedEvent[] {
  let previous: ChainHead = genesis(header);
  return lines.map((text, index) => {
    const line = index + 2;
    const event = read(ChainedEvent, text, line, index);
    if (event.seq !== index) throw new BadLine(line, index, `event ${index} is missing: ${event.seq} stands in its place`);
    if (event.previous !== previous.hash) {
      throw new BadLine(line, index, index === 0 ? 'belongs to another attempt' : 'does not follow from the event before it');
    }
    const { hash, ...unhashed } = event;
    if (linkHash(unhashed) !== hash) throw new BadLine(line, index, 'was changed after it was recorded');
    previous = event;
    return event;
  });
}

function payloadOf(envelope: Envelope, line: number): string {
  return decodeExactly(envelope.payload, line).toString('utf8');
}

/** Base64 has spare bits that decode to the same bytes; only the one proper spelling passes. */
function decodeExactly(text: string, line: number): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw new BadLine(line, null, 'base64 that is not spelled exactly');
  return bytes;
}

function checkSignature(envelope: Envelope, header: RecordHeader, publicKeys: readonly KeyObject[], line: number) {
  const [signature] = envelope.signatures;
  const own = readKey(decodeExactly(header.publicKey, 1));
  if (signature.keyid !== keyId(own)) throw new BadLine(line, null, 'the seal names another key than the header carries');
  const given = publicKeys.some((key) => keyId(key) === signature.keyid);
  if (publicKeys.length > 0 && !given)
    throw new BadLine(line, null, `sealed with key ${signature.keyid}, which is not the given one`);
  const signedBytes = preAuthEncoding(PAYLOAD_TYPE, decodeExactly(envelope.payload, line));
  if (!verify(null, signedBytes, own, decodeExactly(signature.sig, line)))
    throw new BadLine(line, null, 'the signature does not hold');
  return { id: signature.keyid, attested: given ? 'given' : 'self' } as const;
}

function readKey(spki: Buffer): KeyObject {
  try {
    const key = createPublicKey({ key: spki, type: 'spki', format: 'der' });
    // A parser may forgive trailing bytes; the key must be spelled as it is exported.
    if (key.asymmetricKeyType === 'ed25519' && key.export({ type: 'spki', format: 'der' }).equals(spki)) return key;
  } catch (thrown) {
    throw new BadLine(1, null, `the public key is not readable: ${errorText(thrown)}`);
  }
  throw new BadLine(1, null, 'the public key is not an Ed25519 key');
}

function checkStatement(
  sealed: RecordStatement,
  header: RecordHeader,
  events: readonly ChainedEvent[],
  head: string,
  line: number,
) {
  const { predicate } = sealed;
  if (predicate.task !== header.task || predicate.attempt !== header.attempt) {
    throw new BadLine(line, null, 'the seal is that of another attempt');
  }
  if (predicate.count > events.length) {
    throw new BadLine(line, events.length, `event ${events.length} is missing: ${predicate.count} events were sealed`);
  }
  if (predicate.count !== events.length || predicate.head !== head) {
    throw new BadLine(line, null, `${predicate.count} events were sealed, ${events.length} are here, or the last is another one`);
  }
}
