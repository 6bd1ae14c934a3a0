import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalHost, hostOnTheWire, hostRuleProblem, readAuthority } from '../../src/policy/host-name.ts';
import { RUNS } from '../property-runs.ts';

const canonical = (raw: string): string | null => {
  const read = canonicalHost(raw);
  return read.ok ? read.host : null;
};

test('one canonical form for every spelling of a host', () => {
  const pairs: [string, string | null][] = [
    ['Example.COM', 'example.com'],
    ['example.com.', 'example.com'],
    ['example.com..', null],
    ['.example.com', null],
    ['a..b', null],
    ['bücher.test', 'xn--bcher-kva.test'],
    ['BÜCHER.test', 'xn--bcher-kva.test'],
    ['ｅxample.test', 'example.test'],
    ['a_b.test', 'a_b.test'],
    ['-a.test', null],
    ['127.1', '127.0.0.1'],
    ['0x7f.1', '127.0.0.1'],
    ['0x7f000001', '127.0.0.1'],
    ['2130706433', '127.0.0.1'],
    ['017700000001', '127.0.0.1'],
    ['127.0.0.1.', '127.0.0.1'],
    ['256.1.1.1', null],
    ['1.2.3.4.5', null],
    ['::1', '::1'],
    ['[::1]', '::1'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['::ffff:127.0.0.1', '127.0.0.1'],
    ['[::FFFF:7f00:1]', '127.0.0.1'],
    ['FD00:EC2::254', 'fd00:ec2::254'],
    ['fe80::1%eth0', null],
    ['[example.com]', null],
    ['[127.0.0.1]', null],
    ['', null],
    ['*', null],
    ['a'.repeat(64), null],
  ];
  for (const [raw, expected] of pairs) assert.equal(canonical(raw), expected, JSON.stringify(raw));
});

test('bytes on which parsers differ are refused before anything reads them', () => {
  for (const bad of ['\0', '\r', '\n', '\t', ' ', '/', '?', '#', '@', '\\', '%', '<', '|', '\u00a0', '\u2028', '\u3000'])
    for (const raw of [`${bad}example.test`, `exam${bad}ple.test`, `example.test${bad}`])
      assert.equal(canonical(raw), null, JSON.stringify(raw));
  assert.equal(hostOnTheWire('bücher.test').ok, false);
  assert.equal(hostOnTheWire('xn--bcher-kva.test').ok, true);
});

test('the canonical form is a fixed point, whatever went in', () => {
  const text = fc.oneof(fc.string(), fc.domain(), fc.ipV4Extended(), fc.ipV6(), fc.string({ unit: 'grapheme' }));
  fc.assert(
    fc.property(text, (raw) => {
      const once = canonical(raw);
      if (once === null) return;
      assert.equal(canonical(once), once);
      assert.equal(canonical(once.toUpperCase()), once);
      assert.match(once, /^[a-z0-9_.:-]+$/);
    }),
    { numRuns: RUNS },
  );
});

test('an authority is host and port and nothing else', () => {
  assert.deepEqual(readAuthority('Example.test:8443', null), { ok: true, host: 'example.test', kind: 'name', port: 8443 });
  assert.deepEqual(readAuthority('[::1]:443', null), { ok: true, host: '::1', kind: 'ipv6', port: 443 });
  assert.deepEqual(readAuthority('example.test', 80), { ok: true, host: 'example.test', kind: 'name', port: 80 });
  for (const bad of [
    'example.test',
    'example.test:',
    'example.test:0',
    'example.test:65536',
    'example.test:1:2',
    '::1:443',
    'u@example.test:443',
    ':443',
    'a:b',
  ])
    assert.equal(readAuthority(bad, null).ok, false, bad);
});

test('a rule for a host is exact or one label below one registrable domain', () => {
  for (const good of ['example.com', '*.example.com', '*.a.example.test', '127.0.0.1', '::1', '*.example.co.uk', 'localhost'])
    assert.equal(hostRuleProblem(good), null, good);
  const bad: [string, RegExp][] = [
    ['*', /too broad/],
    ['*.com', /too broad/],
    ['*.co.uk', /too broad/],
    ['*.github.io', /too broad/],
    ['*.test', /too broad/],
    ['*.*.example.com', /too broad/],
    ['a*.example.com', /too broad/],
    ['*example.com', /too broad/],
    ['*.127.0.0.1', /address/],
    ['Example.com', /write "example.com"/],
    ['example.com.', /write "example.com"/],
    ['*.Example.com', /write "\*.example.com"/],
    ['127.1', /write "127.0.0.1"/],
    ['bücher.test', /write "xn--bcher-kva.test"/],
    ['example.com\n', /character/],
    ['example.com#x', /character/],
    ['example .com', /character/],
    ['https://example.com', /character/],
    ['', /name/],
  ];
  for (const [pattern, expected] of bad)
    assert.match(hostRuleProblem(pattern) ?? 'nothing wrong', expected, JSON.stringify(pattern));
});
