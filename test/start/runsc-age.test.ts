import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OperatorConfig } from '../../src/policy/operator-config.ts';
import { checkRunscAge } from '../../src/start/runsc-age.ts';

const models = [{ name: 'm', dialect: 'openai-chat', base_url: 'http://model.test/v1' }];
const runtime = (given: object) => OperatorConfig.parse({ models, runtime: given }).runtime;
const NOW = Date.parse('2026-01-01T00:00:00Z');
const refused = { code: 'runsc_too_old' };

test('a runsc older than the policy allows is refused, a younger one is taken', () => {
  const policy = runtime({ max_age: '400 days' });
  assert.doesNotThrow(() => checkRunscAge('release-20250601.0', policy, 'policy.yaml', NOW));
  assert.throws(() => checkRunscAge('0.0~20240729.0', policy, 'policy.yaml', NOW), refused);
});

test('a version without a date is refused: its age cannot be told', () => {
  assert.throws(() => checkRunscAge('unknown', runtime({}), 'policy.yaml', NOW), refused);
});

test('an exception holds for the very version that it names', () => {
  const policy = runtime({ exceptions: ['0.0~20240729.0'] });
  assert.doesNotThrow(() => checkRunscAge('0.0~20240729.0', policy, 'policy.yaml', NOW));
  assert.throws(() => checkRunscAge('0.0~20240728.0', policy, 'policy.yaml', NOW), refused);
});

test('the refusal says what to do', () => {
  assert.throws(() => checkRunscAge('0.0~20240729.0', runtime({}), 'policy.yaml', NOW), /521 days old.*400 days/);
});
