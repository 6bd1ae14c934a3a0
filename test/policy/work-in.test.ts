import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectivePolicy } from '../../src/policy/effective-policy.ts';
import { parseOperatorConfig } from '../../src/policy/operator-config.ts';
import { parseRepositoryConfig } from '../../src/policy/repository-config.ts';

const MODELS = 'models: [{name: one, dialect: openai-chat, base_url: "http://127.0.0.1:1/v1"}]\n';

/** The sandbox's limits under an operator's and a repository's `limits`. */
function limitsOf(operator: string, repository: string) {
  const sources = {
    operator: parseOperatorConfig(`${MODELS}limits: ${operator}\n`, 'operator.yaml'),
    organisation: null,
    repository: parseRepositoryConfig(`limits: ${repository}\n`),
    ruleFile: null,
    now: 0,
  };
  return effectivePolicy(sources).limits.sandbox;
}

test('a work tree is in memory unless the operator puts it on disk, and a repository may go back', () => {
  assert.equal(limitsOf('{}', '{}').workIn, 'memory');
  assert.equal(limitsOf('{work_in: disk}', '{}').workIn, 'disk');
  assert.equal(limitsOf('{work_in: disk}', '{work_in: memory}').workIn, 'memory');
  assert.equal(limitsOf('{work_in: disk}', '{work_in: disk}').workIn, 'disk');
  assert.throws(() => limitsOf('{}', '{work_in: disk}'), { code: 'policy_widened', message: /work_in/ });
});

test('what is on disk does not count as memory', () => {
  const large = '{work_disk: 40 GiB, memory: 2 GiB, work_in: ';
  assert.equal(limitsOf(`${large}disk}`, '{}').workBytes, 40 * 1024 ** 3);
  assert.throws(() => limitsOf(`${large}memory}`, '{}'), { code: 'configuration_invalid' });
  assert.throws(() => limitsOf(`${large}disk}`, '{work_in: memory}'), { code: 'configuration_invalid' });
});
