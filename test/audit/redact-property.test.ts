import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Redactor, SHORTEST_KNOWN } from '../../src/audit/redact.ts';
import { StreamRedactor } from '../../src/audit/redact-stream.ts';
import { RUNS } from '../property-runs.ts';

const letters = fc.stringMatching(/^[A-Za-z0-9_-]+$/, { size: 'medium' });
const sized = (length: number) => fc.stringMatching(new RegExp(`^[A-Za-z0-9]{${length}}$`));

/** GitHub's two forms of an installation token: 40 characters, and `ghs_APPID_` with a JWT of about 520. */
const shortToken = sized(36).map((body) => `ghs_${body}`);
const longToken = fc
  .tuple(fc.integer({ min: 1, max: 9_999_999 }), sized(32), fc.integer({ min: 150, max: 320 }), sized(86))
  .map(([app, head, length, signature]) => `ghs_${app}_eyJ${head}.eyJ${'aZ09-_'.repeat(60).slice(0, length)}.${signature}`);
const token = fc.oneof(shortToken, longToken);

/** What may stand beside a token: nothing that would be a part of it. */
const before = fc.constantFrom('', ' ', '\n', 'token=', '"', 'https://x-access-token:', 'Bearer ', '{"a":"', '>', '\u{1f98a}');
const after = fc.constantFrom('', ' ', '\n', '"', '@forge.test/a.git', '\\n', "'", '<', ',', ' ghs_', '. The end');

function through(redactor: Redactor, text: string, cuts: readonly number[]): string {
  const stream = new StreamRedactor(redactor);
  const edges = [0, ...cuts.map((cut) => cut % (text.length + 1)).sort((a, b) => a - b), text.length];
  return (
    edges
      .slice(1)
      .map((edge, i) => stream.write(text.slice(edges[i], edge)))
      .join('') + stream.end()
  );
}

test('a token of either form is gone, cut at every offset, and cut anywhere as often as one likes', () => {
  fc.assert(
    fc.property(token, before, after, fc.array(fc.nat(), { maxLength: 12 }), fc.nat(), (secret, left, right, cuts, one) => {
      const text = `line\n${left}${secret}${right}\nline`;
      const whole = new Redactor([]).text(text);
      assert.ok(!whole.includes(secret.slice(0, 24)), whole);
      assert.equal(through(new Redactor([]), text, cuts), whole);
      const at = text.indexOf(secret) + (one % secret.length);
      assert.equal(through(new Redactor([]), text, [at]), whole);
    }),
    { numRuns: RUNS },
  );
});

test('a token in pieces of one character each is gone', () => {
  fc.assert(
    fc.property(token, before, after, (secret, left, right) => {
      const text = `${left}${secret}${right}`;
      const out = through(
        new Redactor([]),
        text,
        Array.from({ length: text.length }, (_, i) => i),
      );
      assert.equal(out, new Redactor([]).text(text));
      assert.ok(!out.includes(secret.slice(0, 24)));
    }),
    { numRuns: Math.ceil(RUNS / 20) },
  );
});

/** Known values of every kind of text, with enough in them that they do not stand in ordinary text by chance. */
const known = fc
  .tuple(fc.string({ unit: 'grapheme', maxLength: 12 }), fc.stringMatching(/^[A-Za-z0-9]{14,30}$/), fc.string({ maxLength: 8 }))
  .map((parts) => parts.join('').toWellFormed())
  .filter((value) => value.length >= SHORTEST_KNOWN);
const bytes = fc.uint8Array({ maxLength: 12 }).map((array) => Buffer.from(array));

/** How programs write a value that stands within other bytes. */
const ENCODINGS: Readonly<Record<string, (value: string, left: Buffer, right: Buffer) => string>> = {
  plain: (value) => value,
  url: (value) => encodeURIComponent(value),
  json: (value) => JSON.stringify(value),
  hex: (value, left, right) => Buffer.concat([left, Buffer.from(value), right]).toString('hex'),
  base64: (value, left, right) => Buffer.concat([left, Buffer.from(value), right]).toString('base64'),
  base64url: (value, left, right) => Buffer.concat([left, Buffer.from(value), right]).toString('base64url'),
};

for (const [name, encode] of Object.entries(ENCODINGS)) {
  test(`a known value is gone from text that holds it, cut anywhere: ${name}`, () => {
    fc.assert(
      fc.property(known, bytes, bytes, fc.array(fc.nat(), { maxLength: 4 }), (value, left, right, cuts) => {
        const text = `a ${encode(value, left, right)} b`;
        const whole = new Redactor([value]).text(text);
        assert.match(whole, /\[redacted: \w+\]/);
        assert.equal(through(new Redactor([value]), text, cuts), whole);
        if (name === 'plain') return assert.ok(!whole.includes(value));
        // Whatever of the encoded text is left does not hold the value when it is read back.
        const rest = whole.slice(2, -2).replace(/\[redacted: \w+\]/, '');
        const encoding = name === 'hex' || name === 'base64' || name === 'base64url' ? name : 'utf8';
        assert.ok(!Buffer.from(rest, encoding).includes(value));
      }),
      { numRuns: Math.ceil(RUNS / 2) },
    );
  });
}

test('text without anything secret comes out as it went in', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(letters, fc.constantFrom(' ', '\n', '/', '=')), { maxLength: 20 }),
      fc.array(fc.nat()),
      (parts, cuts) => {
        const text = parts.map((part) => part.slice(0, 15)).join(' ');
        assert.equal(through(new Redactor(['a-known-value-that-is-nowhere']), text, cuts), text);
      },
    ),
    { numRuns: RUNS },
  );
});
