import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InspectRule } from '../../src/policy/egress.ts';
import { couldPass, decide, hostMatches, pathMatches, pathProblem } from '../../src/policy/match.ts';
import { RUNS } from '../property-runs.ts';

test('hosts match exactly, or one label below a wildcard', () => {
  const pairs: [string, string, boolean][] = [
    ['example.com', 'example.com', true],
    ['example.com', 'evilexample.com', false],
    ['example.com', 'example.com.evil.test', false],
    ['example.com', 'www.example.com', false],
    ['example.com', 'example.co', false],
    ['*.example.com', 'a.example.com', true],
    ['*.example.com', 'example.com', false],
    ['*.example.com', '.example.com', false],
    ['*.example.com', 'a.b.example.com', false],
    ['*.example.com', 'evilexample.com', false],
    ['*.example.com', 'a.example.com.evil.test', false],
    ['*.example.com', '*.example.com', true],
  ];
  for (const [pattern, host, expected] of pairs) assert.equal(hostMatches(pattern, host), expected, `${pattern} ${host}`);
});

test('paths match by whole segments, the query aside', () => {
  const pairs: [string, string, boolean][] = [
    ['/', '/', true],
    ['/', '/any/thing', true],
    ['/simple', '/simple', true],
    ['/simple', '/simple/x', true],
    ['/simple', '/simple?x', true],
    ['/simple', '/simpler', false],
    ['/simple/', '/simple/x', true],
    ['/simple/', '/simple', false],
    ['/simple', '/other?/simple', false],
  ];
  for (const [prefix, path, expected] of pairs) assert.equal(pathMatches(prefix, path), expected, `${prefix} ${path}`);
});

test('a path that could be read in two ways is refused', () => {
  for (const good of ['/', '/a/b', '/@scope%2fname', '/a..b', '/...', '/a%20b', '/x?../y', '/100%'])
    assert.equal(pathProblem(good), null, good);
  const bad = [
    '',
    'a',
    '/a/../b',
    '/..',
    '/./a',
    '/%2e%2e/a',
    '/a/%2E./b',
    '/a%2f..%2fb',
    '/a\\..\\b',
    '/%252e%252e/',
    '/%00',
    '/a%0d%0ab',
  ];
  for (const path of bad) assert.notEqual(pathProblem(path), null, path);
});

const NOW = Date.parse('2026-01-01T00:00:00Z');
const rules = [
  InspectRule.parse({ id: 'read', host: 'registry.test', paths: ['/pkg'] }),
  InspectRule.parse({ id: 'api', host: '*.api.test', ports: [8443], methods: ['POST'], phases: ['agent', 'verify'] }),
];
const request = { phase: 'setup', host: 'registry.test', port: 443, method: 'GET', path: '/pkg/x' } as const;

test('a request passes only when host, port, phase, method and path all fit', () => {
  const ok = decide(rules, request, NOW);
  assert.ok(ok.allowed && ok.rule.id === 'read');
  const misses = [
    { host: 'other.test' },
    { port: 80 },
    { phase: 'agent' },
    { phase: 'shut' },
    { method: 'PUT' },
    { path: '/other' },
  ] as const;
  const reasons = [/no rule allows other.test/, /port 80/, /setup only/, /this is shut/, /GET, HEAD only/, /path/];
  misses.forEach((miss, index) => {
    const verdict = decide(rules, { ...request, ...miss }, NOW);
    assert.ok(!verdict.allowed);
    assert.match(verdict.reason, reasons[index] ?? /never/);
  });
});

test('an empty list denies all, and shut opens for nothing', () => {
  fc.assert(
    fc.property(fc.domain(), fc.webPath(), (host, path) => {
      assert.equal(decide([], { ...request, host, path }, NOW).allowed, false);
      const all = [InspectRule.parse({ id: 'x', host: 'x.test', phases: ['setup', 'agent', 'verify'] })];
      assert.equal(decide(all, { ...request, host: 'x.test', phase: 'shut', path }, NOW).allowed, false);
    }),
    { numRuns: RUNS },
  );
});

test('a tunnel may stand exactly when some request could pass', () => {
  assert.equal(couldPass(rules, { phase: 'setup', host: 'registry.test', port: 443 }, NOW), true);
  assert.equal(couldPass(rules, { phase: 'agent', host: 'registry.test', port: 443 }, NOW), false);
  assert.equal(couldPass(rules, { phase: 'verify', host: 'a.api.test', port: 8443 }, NOW), true);
  assert.equal(couldPass(rules, { phase: 'verify', host: 'a.api.test', port: 443 }, NOW), false);
});
