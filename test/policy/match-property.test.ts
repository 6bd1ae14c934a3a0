/** Rule matching against the plainest reading of the same words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InspectRule } from '../../src/policy/egress.ts';
import { couldPass, decide, type EgressRequest, pathProblem } from '../../src/policy/match.ts';
import { RUNS } from '../property-runs.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const hosts = ['a.test', 'b.a.test', 'c.b.a.test', 'xa.test', 'a.test.b.test', '127.0.0.1'];
const segments = fc
  .array(fc.constantFrom('p', 'q', 'pq', '@v', '%2f', 'x.zip'), { maxLength: 4 })
  .map((parts) => `/${parts.join('/')}`);
const ruleOf = fc.record({
  id: fc.constantFrom('one', 'two', 'three'),
  host: fc.constantFrom(...hosts, '*.a.test', '*.b.test'),
  ports: fc.subarray([80, 443, 8443], { minLength: 1 }),
  methods: fc.subarray(['GET', 'HEAD', 'POST'], { minLength: 1 }),
  paths: fc.array(segments, { minLength: 1, maxLength: 3 }),
  phases: fc.subarray(['setup', 'agent', 'verify'] as const, { minLength: 1 }),
  exact: fc.boolean(),
  expires: fc.constantFrom(undefined, '2025-12-31T23:59:59Z', '2026-01-01T00:00:00Z', '2026-01-01T00:00:01Z'),
});
const rules = fc.array(
  ruleOf.map(({ expires, ...rule }) => InspectRule.parse({ ...rule, ...(expires && { expires }) })),
  { maxLength: 4 },
);
const request: fc.Arbitrary<EgressRequest> = fc.record({
  phase: fc.constantFrom('setup', 'agent', 'verify', 'shut'),
  host: fc.constantFrom(...hosts),
  port: fc.constantFrom(80, 443, 8443),
  method: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT'),
  path: fc.tuple(segments, fc.constantFrom('', '?a', '/', '?/p')).map(([path, rest]) => path + rest),
});

function allows(rule: InspectRule, asked: EgressRequest): boolean {
  const [, ...labels] = asked.host.split('.');
  const host = rule.host.startsWith('*.') ? rule.host.slice(2) === labels.join('.') : rule.host === asked.host;
  const [bare = ''] = asked.path.split('?');
  const below = (prefix: string) => bare === prefix || bare.startsWith(prefix.replace(/\/?$/, '/'));
  return (
    host &&
    rule.ports.includes(asked.port) &&
    rule.methods.includes(asked.method) &&
    rule.phases.some((phase) => phase === asked.phase) &&
    (rule.expires === undefined || NOW < Date.parse(rule.expires)) &&
    (rule.exact ? rule.paths.includes(asked.path) : rule.paths.some(below))
  );
}

test('a request passes exactly when one rule allows all of it, and a refusal says why', () => {
  let passed = 0;
  fc.assert(
    fc.property(rules, request, (given, asked) => {
      const verdict = decide(given, asked, NOW);
      assert.equal(
        verdict.allowed,
        given.some((rule) => allows(rule, asked)),
      );
      if (verdict.allowed) {
        passed++;
        assert.ok(allows(verdict.rule, asked));
        assert.ok(couldPass(given, asked, NOW), 'a tunnel for it may stand');
      } else {
        assert.notEqual(verdict.reason, '');
        assert.ok(verdict.nearest === null || given.includes(verdict.nearest));
      }
      for (let taken = 0; taken < given.length; taken++) {
        const fewer = given.filter((_, index) => index !== taken);
        if (decide(fewer, asked, NOW).allowed) assert.ok(verdict.allowed, 'more rules allow more');
      }
    }),
    { numRuns: RUNS },
  );
  assert.ok(passed > 0, 'some request passed');
});

test('a path that is let through cannot be read as another one', () => {
  const piece = fc.oneof(
    fc.constantFrom('/', '.', '..', '%2e', '%2F', '%252e', '\\', '%5c', '%00', 'a', '?', '#', '%'),
    fc.string({ maxLength: 3 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const path = `/${pieces.join('')}`;
      if (pathProblem(path) !== null) return;
      const [bare = ''] = path.split(/[?#]/);
      let decoded = bare;
      for (let times = 0; times < 3; times++) {
        const url = new URL('http://a.test');
        url.pathname = decoded;
        assert.equal(url.pathname.split('/').length, decoded.split(/[/\\]/).length, `${path} keeps its segments`);
        decoded = decoded.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
        if (/[?#]/.test(decoded)) return;
      }
    }),
    { numRuns: RUNS },
  );
});
