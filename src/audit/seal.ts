import { open, rename, rm } from 'node:fs/promises';
import { canonical, sha256 } from './canonical.ts';
import { genesis } from './chain.ts';
import type { RecordedEvent, Witness } from './events.ts';
import type { SigningKey } from './key.ts';
import {
  type Envelope,
  LIMITS,
  PAYLOAD_TYPE,
  PREDICATE_TYPE,
  preAuthEncoding,
  RECORD_FORMAT,
  type RecordFacts,
  type RecordHeader,
  RecordStatement,
  STATEMENT_TYPE,
} from './statement.ts';

/** A sealed record: `text` is the whole file, `digest` the SHA-256 of everything before the envelope's line. */
export interface SealedRecord {
  readonly text: string;
  readonly digest: string;
  readonly head: string;
  readonly count: number;
  readonly envelope: Envelope;
}

/**
 * Seals the events of an attempt: JSON Lines of a header, one line per event, and last the DSSE envelope of an
 * in-toto Statement whose subjects are the record itself and the commit, if there is one.
 */
export function seal(events: readonly RecordedEvent[], facts: RecordFacts, key: SigningKey): SealedRecord {
  const header: RecordHeader = {
    format: RECORD_FORMAT,
    task: facts.task,
    attempt: facts.attempt,
    publicKey: key.publicKey,
  };
  const body = [header, ...events].map((line) => `${canonical(line)}\n`).join('');
  const digest = sha256(body);
  const head = events.at(-1)?.hash ?? genesis(facts).hash;
  const statement = makeStatement(events, facts, digest, head);
  const envelope = signed(canonical(statement), key);
  return { text: `${body}${canonical(envelope)}\n`, digest, head, count: events.length, envelope };
}

function makeStatement(events: readonly RecordedEvent[], facts: RecordFacts, digest: string, head: string): RecordStatement {
  const witnesses: Partial<Record<Witness, number>> = {};
  for (const { witness } of events) witnesses[witness] = (witnesses[witness] ?? 0) + 1;
  const record = { name: `record ${facts.task} attempt ${facts.attempt}`, digest: { sha256: digest } };
  // `gitCommit` is the name that in-toto's digest sets have for a commit id, of either hash.
  const commit = facts.commit === null ? [] : [{ name: facts.repository, digest: { gitCommit: facts.commit } }];
  return RecordStatement.parse({
    _type: STATEMENT_TYPE,
    subject: [record, ...commit],
    predicateType: PREDICATE_TYPE,
    predicate: { ...facts, count: events.length, head, witnesses, limits: LIMITS },
  });
}

function signed(payload: string, key: SigningKey): Envelope {
  const body = Buffer.from(payload);
  const sig = key.sign(preAuthEncoding(PAYLOAD_TYPE, body)).toString('base64');
  return { payloadType: PAYLOAD_TYPE, payload: body.toString('base64'), signatures: [{ keyid: key.id, sig }] };
}

/** Writes a sealed record so that at no moment half of it is there: to a neighbour, flushed, then renamed. */
export async function writeRecord(file: string, record: Pick<SealedRecord, 'text'>): Promise<void> {
  const draft = `${file}.${process.pid}.new`;
  try {
    const handle = await open(draft, 'w', 0o600);
    try {
      await handle.writeFile(record.text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, file);
  } finally {
    await rm(draft, { force: true });
  }
}
