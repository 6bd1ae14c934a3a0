import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CoatcheckError } from '../../src/errors.ts';
import { parseOperatorConfig } from '../../src/policy/operator-config.ts';
import { readRuleSecrets } from '../../src/start/rule-secrets.ts';

const operatorWith = (credential: string) =>
  parseOperatorConfig(
    `models: [{name: m, dialect: openai-chat, base_url: "http://m.test/v1"}]\negress: {grants: [{id: npm-private, host: npm.test, credential: ${credential}}, {id: open, host: open.test}]}`,
    'policy.yaml',
  );
const read = (credential: string, value: string | null) =>
  readRuleSecrets(operatorWith(credential), { policyFile: 'policy.yaml', secret: (name) => (name === 'TOKEN' ? value : null) });

test('each scheme makes its header', () => {
  const basic = `Basic ${Buffer.from('bot:s3cret-value').toString('base64')}`;
  for (const [credential, header, value] of [
    ['{env: TOKEN}', 'authorization', 'Bearer s3cret-value'],
    ['{env: TOKEN, scheme: basic, user: bot}', 'authorization', basic],
    ['{env: TOKEN, scheme: plain, header: x-api-key}', 'x-api-key', 's3cret-value'],
  ] as const) {
    const { byRule, secrets } = read(credential, 's3cret-value');
    assert.deepEqual([...byRule], [['npm-private', { env: 'TOKEN', host: 'npm.test', header, value }]]);
    assert.deepEqual(secrets, ['s3cret-value', value.replace(/^\w+ /, '')], 'both spellings are kept out of records');
  }
});

test('a credential that is missing or no header stops the start, named and not shown', () => {
  const cases: [value: string | null, code: string][] = [
    [null, 'rule_secret_missing'],
    ['short', 'rule_secret_invalid'],
    ['s3cret-value\n', 'rule_secret_invalid'],
    ['s3cret\r\nx: y', 'rule_secret_invalid'],
    [' s3cret-value', 'rule_secret_invalid'],
    ['s3cret-välue', 'rule_secret_invalid'],
    ['s3cret-\u0000value', 'rule_secret_invalid'],
  ];
  for (const [value, code] of cases) {
    assert.throws(
      () => read('{env: TOKEN}', value),
      (thrown) =>
        thrown instanceof CoatcheckError &&
        thrown.code === code &&
        /npm-private/.test(thrown.message) &&
        /TOKEN/.test(thrown.toString()) &&
        !thrown.toString().includes('s3cret'),
      JSON.stringify(value),
    );
  }
  assert.equal(read('{env: TOKEN}', 'two words are one secret').byRule.size, 1);
});
