import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Redactor } from '../../src/audit/redact.ts';
import { redactHostEvent } from '../../src/audit/redact-event.ts';
import { ReportRedactor } from '../../src/audit/redact-report.ts';
import { StreamRedactor } from '../../src/audit/redact-stream.ts';
import { RUNS } from '../property-runs.ts';

/** Made up at run time, so that no scanner takes this file for a leak. */
const random = (length: number, alphabet = 'ABCDEFGHJKabcdefghjk23456789') =>
  Array.from({ length }, (_, i) => alphabet[(i * 7 + (i % 5) * 3 + length) % alphabet.length]).join('');

const KNOWN = `deployment secret ${random(20)}+/=`;
const JWT = `eyJ${random(40)}.eyJ${random(300)}.${random(150)}`;

const SECRETS: Readonly<Record<string, string>> = {
  'old installation token': `ghs_${random(36)}`,
  'new installation token': `ghs_1234567_${JWT}`,
  'classic token': `ghp_${random(36)}`,
  'fine-grained token': `github_pat_${random(22)}_${random(59)}`,
  anthropic: `sk-ant-api03-${random(80)}-${random(10)}`,
  openai: `sk-proj-${random(40)}_${random(8)}`,
  'aws key id': `AKIA${random(16, 'ABCDEFGH234567')}`,
  jwt: JWT,
  'private key': `-----BEGIN RSA PRIVATE KEY-----\n${Array.from({ length: 26 }, () => random(64)).join('\n')}\n-----END RSA PRIVATE KEY-----`,
  known: KNOWN,
  'known, base64': Buffer.from(KNOWN).toString('base64'),
  'known, base64 shifted by one': Buffer.from(`x${KNOWN}`).toString('base64'),
  'known, base64 shifted by two': Buffer.from(`xy${KNOWN}`).toString('base64'),
  'known, url': encodeURIComponent(KNOWN),
};

for (const [name, secret] of Object.entries(SECRETS)) {
  test(`taken out: ${name}`, () => {
    const redactor = new Redactor([KNOWN]);
    const clean = redactor.text(`before ${secret} after`);
    assert.match(clean, /^before \S*\[redacted: \w+\]\S{0,4} after$/);
    assert.equal(
      Object.values(redactor.counts).reduce((a, b) => a + b, 0),
      1,
    );
  });

  test(`taken out at every split: ${name}`, () => {
    const whole = `line one\nvalue=${secret} rest of the line\n`;
    const expected = new Redactor([KNOWN]).text(whole);
    for (let at = 0; at <= whole.length; at += 1) {
      const stream = new StreamRedactor(new Redactor([KNOWN]));
      assert.equal(stream.write(whole.slice(0, at)) + stream.write(whole.slice(at)) + stream.end(), expected, `split at ${at}`);
    }
  });
}

test('a password in a URL goes, the URL stays', () => {
  const clean = new Redactor([]).text('fetch https://x-access-token:abcdef123456@forge.test/octo/sample.git now');
  assert.equal(clean, 'fetch https://x-access-token:[redacted: url_password]@forge.test/octo/sample.git now');
});

test('what is no secret stays', () => {
  const innocent = [
    'commit 3f786850e387550fdab836ed7e6dc881de23001b',
    'sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==',
    'https://forge.test/octo/sample/pull/7/files#diff-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    'http://user@forge.test:8080/path?key=value',
    'const task = await ask-for(sk-learn-some-long-package-name, risk-management-plan-2026-A)',
    'import { ghs_token } from "./ghs_.ts"; // github_pat_ and ghp_ are prefixes',
    'grep -n -- "-----BEGIN PRIVATE KEY-----" *.pem && echo found',
    '-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUTEST\n-----END CERTIFICATE-----',
    'the year is short: short',
  ];
  const redactor = new Redactor(['short']);
  for (const text of innocent) assert.equal(redactor.text(text), text);
  assert.deepEqual(redactor.counts, {});
});

test('any text cut into any pieces comes out as the whole does', () => {
  const word = fc.oneof(
    // Set apart: what is glued to a letter before it is a word of its own (`highs_and_lows`), unless its value is known.
    fc.constantFrom(...Object.values(SECRETS)).map((secret) => `"${secret}"`),
    fc.string({ unit: 'grapheme', maxLength: 12 }),
    fc.constantFrom(' ', '\n', 'ghs_', '-----BEGIN ', 'PRIVATE KEY-----', 'deployment ', 'a'.repeat(1500)),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 8 }), fc.array(fc.nat(4000), { maxLength: 6 }), (words, cuts) => {
      const whole = words.join('');
      const stream = new StreamRedactor(new Redactor([KNOWN]));
      const edges = [0, ...cuts.filter((cut) => cut < whole.length).sort((a, b) => a - b), whole.length];
      const pieces = edges.slice(1).map((edge, i) => stream.write(whole.slice(edges[i], edge)));
      const clean = pieces.join('') + stream.end();
      for (const secret of Object.values(SECRETS)) assert.ok(!clean.includes(secret));
      assert.equal(clean, new Redactor([KNOWN]).text(whole));
    }),
    { numRuns: RUNS },
  );
});

test('ordinary lines are let through without delay', () => {
  const stream = new StreamRedactor(new Redactor([KNOWN]));
  assert.equal(stream.write('ok 1 - adds numbers\n'), 'ok 1 - adds numbers\n');
  assert.equal(stream.write('-----BEGIN CERTIFICATE-----, says the log\n'), '-----BEGIN CERTIFICATE-----, says the log\n');
});

test('every string of an event is cleaned, and an output event keeps its cap', () => {
  const redactor = new Redactor([]);
  const secret = `ghs_${random(36)}`;
  const output = redactHostEvent(redactor, { type: 'output', text: 'AKIAABCDEFGH23456722 '.repeat(780) });
  assert.ok(output.type === 'output' && output.text.length <= 16_384 && !output.text.includes('AKIA'));
  const tool = redactHostEvent(redactor, {
    type: 'agent.tool',
    turn: 1,
    tool: 'run',
    input: `{"command":"echo ${secret}"}`,
    output: secret,
    ok: true,
    ms: 3,
  });
  assert.ok(!JSON.stringify(tool).includes(secret));
});

test('a secret that two pieces of live output share is taken out; what waits comes with the next event of another kind', () => {
  const redactor = new Redactor([]);
  const secret = `ghs_${random(36)}`;
  for (let at = 0; at <= secret.length; at += 1) {
    const report = new ReportRedactor();
    const said = (text: string) => report.redact(redactor, { type: 'output', text });
    const events = [...said(`see ${secret.slice(0, at)}`), ...said(secret.slice(at))];
    events.push(...report.redact(redactor, { type: 'step.started', step: 'work' }));
    assert.equal(events.at(-1)?.type, 'step.started');
    const text = events.flatMap((event) => (event.type === 'output' ? [event.text] : [])).join('');
    assert.equal(text, 'see [redacted: github_token]', `split at ${at}`);
  }
});
