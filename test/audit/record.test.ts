import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonical } from '../../src/audit/canonical.ts';
import { appendEvent, genesis } from '../../src/audit/chain.ts';
import { RecordedEvent } from '../../src/audit/events.ts';
import { seal, writeRecord } from '../../src/audit/seal.ts';
import { Envelope, LIMITS, preAuthEncoding, RecordStatement } from '../../src/audit/statement.ts';
import { verifyRecord } from '../../src/audit/verify.ts';
import { facts, newKey, sampleEvents, TASK, temporaryFolder } from './record.fixture.ts';

const verdictOn = (text: string) => verifyRecord(Buffer.from(text));

/** The seq (or, failing that, the line) at which a record is said to be bad; null when it is said to be intact. */
function firstBad(text: string): { line: number; seq: number | null; why: string } | null {
  const verdict = verdictOn(text);
  return verdict.ok ? null : verdict.firstBad;
}

test('a sealed record is intact, read back from its file, and says what it holds', async (t) => {
  const key = await newKey(t);
  const file = join(await temporaryFolder(t), 'record.jsonl');
  const record = seal(sampleEvents(), facts, key);
  await writeRecord(file, record);
  const verdict = verifyRecord(await readFile(file));
  assert.ok(verdict.ok);
  assert.equal(verdict.events.length, 6);
  assert.equal(verdict.head, record.head);
  assert.equal(verdict.sealed.predicate.pullRequest?.number, 7);
  assert.deepEqual(verdict.sealed.predicate.witnesses, { control: 3, host: 2, agent: 1 });
  assert.deepEqual(verdict.sealed.predicate.limits, LIMITS);
  assert.deepEqual(verdict.key, { id: key.id, attested: 'self' });
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(join(file, '..')), ['record.jsonl'], 'no draft is left behind');
});

test('the envelope is an in-toto Statement in DSSE that anybody can check with the public key alone', async (t) => {
  const key = await newKey(t);
  const { envelope, digest } = seal(sampleEvents(), facts, key);
  const parsed = Envelope.parse(envelope);
  const payload = Buffer.from(parsed.payload, 'base64');
  const statement = RecordStatement.parse(JSON.parse(payload.toString()));
  assert.deepEqual(
    statement.subject.map((subject) => subject.digest),
    [{ sha256: digest }, { gitCommit: facts.commit }],
  );
  const publicKey = createPublicKey({ key: Buffer.from(key.publicKey, 'base64'), format: 'der', type: 'spki' });
  const signature = Buffer.from(parsed.signatures[0].sig, 'base64');
  assert.ok(verify(null, preAuthEncoding(parsed.payloadType, payload), publicKey, signature));
});

test('the pre-authentication encoding is that of the DSSE protocol page', () => {
  const encoded = preAuthEncoding('http://example.com/HelloWorld', Buffer.from('hello world'));
  assert.equal(encoded.toString(), 'DSSEv1 29 http://example.com/HelloWorld 11 hello world');
});

test('a record without a commit has itself as its only subject; one without events is sealed too', async (t) => {
  const key = await newKey(t);
  const verdict = verdictOn(seal([], { ...facts, commit: null, pullRequest: null, state: 'no_change' }, key).text);
  assert.ok(verdict.ok);
  assert.equal(verdict.sealed.subject.length, 1);
  assert.equal(verdict.head, genesis(facts).hash);
});

test('a given key must be the one that sealed', async (t) => {
  const [key, other] = [await newKey(t), await newKey(t)];
  const publicKey = (of: typeof key) =>
    createPublicKey({ key: Buffer.from(of.publicKey, 'base64'), format: 'der', type: 'spki' });
  const bytes = Buffer.from(seal(sampleEvents(), facts, key).text);
  const withOwn = verifyRecord(bytes, [publicKey(other), publicKey(key)]);
  assert.ok(withOwn.ok && withOwn.key.attested === 'given');
  const withOther = verifyRecord(bytes, [publicKey(other)]);
  assert.ok(!withOther.ok && withOther.firstBad.why.includes('not the given one'));
  // Somebody rewrote history and sealed it with a key of their own: it passes on its own word, and only so.
  const forged = Buffer.from(seal(sampleEvents().slice(0, 2), facts, other).text);
  const onItsWord = verifyRecord(forged);
  assert.ok(onItsWord.ok && onItsWord.key.attested === 'self');
  assert.ok(!verifyRecord(forged, [publicKey(key)]).ok);
});

test('any one byte changed is found', async (t) => {
  const bytes = Buffer.from(seal(sampleEvents(), facts, await newKey(t)).text);
  assert.ok(verifyRecord(bytes).ok);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ flip;
      assert.equal(verifyRecord(changed).ok, false, `byte ${at} xor ${flip}`);
    }),
    { numRuns: 1500 },
  );
});

test('any bytes put in or taken out are found, at the tail too', async (t) => {
  const bytes = Buffer.from(seal(sampleEvents(), facts, await newKey(t)).text);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 40 }), (at, length) => {
      const cut = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
      assert.equal(verifyRecord(cut).ok, false, `${length} bytes at ${at} taken out`);
      assert.equal(verifyRecord(bytes.subarray(0, at)).ok, false, `cut at ${at}`);
      const more = Buffer.concat([bytes.subarray(0, at), Buffer.alloc(length, 0x20), bytes.subarray(at)]);
      assert.equal(verifyRecord(more).ok, false, `${length} blanks at ${at} put in`);
    }),
    { numRuns: 500 },
  );
});

test('a line removed, doubled or swapped is named by the first event that does not fit', async (t) => {
  const lines = seal(sampleEvents(), facts, await newKey(t))
    .text.split('\n')
    .slice(0, -1);
  const joined = (changed: readonly string[]) => `${changed.join('\n')}\n`;
  assert.equal(firstBad(joined(lines)), null);
  for (let index = 1; index <= 6; index += 1) {
    const without = firstBad(joined(lines.toSpliced(index, 1)));
    assert.equal(without?.seq, index - 1, `line ${index + 1} removed`);
    assert.equal(firstBad(joined(lines.toSpliced(index, 0, lines[index] ?? '')))?.seq, index, `line ${index + 1} doubled`);
    if (index < 6) {
      const swapped = lines.with(index, lines[index + 1] ?? '').with(index + 1, lines[index] ?? '');
      assert.equal(firstBad(joined(swapped))?.seq, index - 1, `lines ${index + 1} and ${index + 2} swapped`);
    }
  }
  assert.match(firstBad(joined(lines.slice(0, -1)))?.why ?? '', /not what belongs|seal/, 'the seal cut off');
  assert.ok(firstBad(joined(lines.slice(1))), 'the header cut off');
  assert.ok(firstBad(joined([...lines, lines.at(-1) ?? ''])), 'the seal doubled');
  assert.ok(firstBad(''), 'an empty file');
});

test('an event changed with its hash made anew breaks the chain at the next one', async (t) => {
  const events = sampleEvents();
  const original = events[2];
  assert.ok(original);
  const forged = appendEvent(events[1] ?? genesis(facts), {
    ...original,
    event: { type: 'step.ended', step: 'sandbox', ok: false, ms: 1 },
  });
  const bad = firstBad(seal(events.with(2, forged), facts, await newKey(t)).text);
  assert.equal(bad?.seq, 3);
});

test('the events of one attempt cannot be sealed as those of another', async (t) => {
  const bad = firstBad(seal(sampleEvents({ task: TASK, attempt: 2 }), facts, await newKey(t)).text);
  assert.deepEqual([bad?.seq, bad?.why], [0, 'belongs to another attempt']);
});

test('the same JSON written another way is not the record', async (t) => {
  const text = seal(sampleEvents(), facts, await newKey(t)).text;
  const spaced = text.replace('{"at":', '{ "at":');
  assert.notEqual(spaced, text);
  assert.equal(firstBad(spaced)?.why, 'not in canonical form');
});

test('text that no canonical JSON can hold is made well-formed before it is chained', () => {
  const cut = '🙂'.slice(0, 1);
  const event = appendEvent(genesis(facts), {
    at: '2026-11-21T09:59:00.000Z',
    witness: 'host',
    event: { type: 'output', text: `half an emoji: ${cut}` },
  });
  assert.deepEqual(RecordedEvent.parse(event).event, { type: 'output', text: 'half an emoji: \ufffd' });
});

test('a gap in the sequence is found even where the chain and the seal hold', async (t) => {
  const events = sampleEvents().slice(0, 2);
  const last = events[1];
  assert.ok(last);
  const { at, witness, event } = last;
  const later = appendEvent({ seq: 6, hash: last.hash }, { at, witness, event });
  const bad = firstBad(seal([...events, later], facts, await newKey(t)).text);
  assert.deepEqual([bad?.line, bad?.seq, bad?.why], [4, 2, 'event 2 is missing: 7 stands in its place']);
});

test('an event whose hash is not its own is found even where the chain and the seal hold', async (t) => {
  const events = sampleEvents();
  const changed = events.map((event, index) => (index === 5 ? { ...event, at: '2026-11-21T09:59:01.000Z' } : event));
  const bad = firstBad(seal(changed, facts, await newKey(t)).text);
  assert.deepEqual([bad?.seq, bad?.why], [5, 'was changed after it was recorded']);
});

test('a seal over another digest, count or attempt does not hold for this record, whoever signed it', async (t) => {
  const key = await newKey(t);
  const { text, envelope } = seal(sampleEvents(), facts, key);
  const body = text.slice(0, text.trimEnd().lastIndexOf('\n') + 1);
  const original = Buffer.from(envelope.payload, 'base64').toString();
  const resealed = (change: (payload: string) => string) => {
    const payload = Buffer.from(change(original));
    const sig = key.sign(preAuthEncoding(envelope.payloadType, payload)).toString('base64');
    return `${body}${canonical({ ...envelope, payload: payload.toString('base64'), signatures: [{ keyid: key.id, sig }] })}\n`;
  };
  assert.equal(firstBad(resealed((payload) => payload)), null, 'control');
  const cases: [RegExp, string, RegExp][] = [
    [/"sha256":"[0-9a-f]{8}/, '"sha256":"00000000', /digest/],
    [/"count":6/, '"count":7', /event 6 is missing/],
    [/"count":6/, '"count":5', /5 events were sealed/],
    [/"head":"[0-9a-f]{8}/, '"head":"00000000', /the last is another/],
    [/"attempt":1/, '"attempt":2', /another attempt/],
  ];
  for (const [from, to, why] of cases) {
    const bad = firstBad(resealed((payload) => payload.replace(from, to)));
    assert.match(bad?.why ?? 'intact', why, to);
  }
});

test('another spelling of the same base64 is not the same record', async (t) => {
  const { text, envelope } = seal(sampleEvents(), facts, await newKey(t));
  const { sig } = envelope.signatures[0];
  // 64 bytes leave four spare bits in the last letter.
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  const last = sig.charAt(85);
  const other = `${sig.slice(0, 85)}${letters.charAt(letters.indexOf(last) ^ 1)}==`;
  assert.deepEqual(Buffer.from(other, 'base64'), Buffer.from(sig, 'base64'), 'control: it decodes to the same');
  assert.equal(firstBad(text.replace(sig, other))?.why, 'base64 that is not spelled exactly');
});
