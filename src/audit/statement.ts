import { z } from 'zod';
import { EndReason, ObjectId, TaskId, TaskState } from '../task/task.ts';
import { Witness } from './events.ts';

export const RECORD_FORMAT = 'coatcheck-record/1';
export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
export const PREDICATE_TYPE = 'urn:coatcheck:record:v1';
export const PAYLOAD_TYPE = 'application/vnd.in-toto+json';

/** First line of a record file. The public key stands here for convenience: by itself it attests to itself only. */
export const RecordHeader = z.strictObject({
  format: z.literal(RECORD_FORMAT),
  task: TaskId,
  attempt: z.int().positive(),
  /** SPKI (DER) in base64. */
  publicKey: z.base64(),
});
export type RecordHeader = z.infer<typeof RecordHeader>;

/** What the one who seals says about the attempt as a whole. */
export const RecordFacts = z.strictObject({
  task: TaskId,
  attempt: z.int().positive(),
  repository: z.string(),
  state: TaskState,
  reason: EndReason.nullable(),
  commit: ObjectId.nullable(),
  pullRequest: z.strictObject({ number: z.int(), url: z.string() }).nullable(),
  sealedAt: z.iso.datetime(),
});
export type RecordFacts = z.infer<typeof RecordFacts>;

/** What no record of this kind can prove; it travels inside the signature. */
export const LIMITS: readonly string[] = [
  'It proves that the holder of the signing key sealed these events in this order, not that the events are true: each is as good as its witness.',
  'Events of witness "host" are taken from the host on its word; a host that was taken over can omit or invent them.',
  'Events of witness "agent" are a model\'s own words.',
  "Times are those of the witness's clock; no third party has stamped them.",
  'A key that is known only from this file attests to itself: compare its id with one received another way.',
  'What was redacted, cut off or kept as a digest only cannot be read back from it.',
];

const Subject = z.strictObject({ name: z.string(), digest: z.record(z.string(), z.string()) });

/** The in-toto Statement v1 of a record (https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md). */
export const RecordStatement = z.strictObject({
  _type: z.literal(STATEMENT_TYPE),
  subject: z.array(Subject).min(1),
  predicateType: z.literal(PREDICATE_TYPE),
  predicate: RecordFacts.extend({
    /** How many events the record holds, and the hash of the last. */
    count: z.int().nonnegative(),
    head: z.string(),
    witnesses: z.partialRecord(Witness, z.int()),
    limits: z.array(z.string()),
  }),
});
export type RecordStatement = z.infer<typeof RecordStatement>;

/** A DSSE envelope with exactly one signature (https://github.com/secure-systems-lab/dsse/blob/master/envelope.md). */
export const Envelope = z.strictObject({
  payloadType: z.literal(PAYLOAD_TYPE),
  payload: z.base64(),
  signatures: z.tuple([z.strictObject({ keyid: z.string(), sig: z.base64() })]),
});
export type Envelope = z.infer<typeof Envelope>;

/**
 * The bytes that a DSSE signature covers: "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body
 * (https://github.com/secure-systems-lab/dsse/blob/master/protocol.md).
 */
export function preAuthEncoding(type: string, body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${body.byteLength} `), body]);
}
