import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { responseHeaders } from '../../src/door/headers.ts';
import { egressRefusalText } from '../../src/door/refusal.ts';
import { decide } from '../../src/policy/match.ts';
import { OperatorConfig } from '../../src/policy/operator-config.ts';

test('answers lose what concerns one connection only', () => {
  const headers = responseHeaders({
    connection: 'close, X-Own',
    'x-own': '1',
    'keep-alive': 'x',
    'transfer-encoding': 'chunked',
    'set-cookie': ['a', 'b'],
    etag: 'e',
  });
  assert.deepEqual(headers, { 'set-cookie': ['a', 'b'], etag: 'e' });
});

test('a refusal can be pasted into the policy, and then the request passes', () => {
  const request = { phase: 'agent', host: 'api.example.test', port: 8443, method: 'POST', path: '/v1/x?secret=1' } as const;
  const text = egressRefusalText(request, 'no rule allows api.example.test');
  assert.doesNotMatch(text, /secret/);
  const pasted = OperatorConfig.pick({ egress: true }).parse(parse(text.slice(text.indexOf('\negress:'))));
  assert.equal(decide([], request, 0).allowed, false);
  const rules = pasted.egress.grants.filter((rule) => rule.how === 'inspect');
  assert.equal(decide(rules, request, 0).allowed, true);
});
