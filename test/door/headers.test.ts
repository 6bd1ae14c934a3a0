import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { responseHeaders } from '../../src/door/headers.ts';
import { egressRefusalText, notTlsText, repositoryRefusalText } from '../../src/door/refusal.ts';
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

test('what each kind of refusal offers is read by the policy as what it says', () => {
  const place = { phase: 'setup', host: 'db.example.test', port: 5432 } as const;
  const grantOf = (text: string) =>
    OperatorConfig.pick({ egress: true }).parse(parse(text.slice(text.indexOf('\negress:')))).egress.grants[0];
  const service = { how: 'service', id: 'db.example.test', host: 'db.example.test', port: 5432, listen: 5432, phases: ['setup'] };
  const connect = { ...place, method: 'CONNECT', path: '' };
  assert.deepEqual(grantOf(egressRefusalText(connect, 'no rule')), { ...service, privateAddresses: [] });
  assert.equal(grantOf(egressRefusalText({ ...connect, port: 443 }, 'no rule'))?.how, 'inspect');
  assert.equal(grantOf(egressRefusalText({ ...connect, host: '2001:db8::1', port: 443 }, 'no rule'))?.how, 'inspect');
  const low = grantOf(notTlsText({ ...place, port: 22 }, 'not TLS'));
  assert.deepEqual(low?.how === 'service' && [low.port, low.listen], [22, 10_022]);
  const repository = grantOf(repositoryRefusalText('owner/name.js', 'shut', 'no rule'));
  assert.deepEqual(repository?.how === 'repository' && [repository.repository, repository.phases], ['owner/name.js', ['setup']]);
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
