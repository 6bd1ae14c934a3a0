import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CoatcheckError } from '../../src/errors.ts';
import { effectivePolicy } from '../../src/policy/effective-policy.ts';
import { TaskLimits } from '../../src/policy/limits.ts';
import { LIMIT_NAMES, LimitsFile } from '../../src/policy/limits-file.ts';
import { parseOperatorConfig, servesInstallation } from '../../src/policy/operator-config.ts';
import { parseRepositoryConfig } from '../../src/policy/repository-config.ts';
import { readRuleFile } from '../../src/policy/rule-file.ts';

const shipped = readFileSync(new URL('../../policies/default.yaml', import.meta.url), 'utf8');
const OPERATOR = `
egress: {presets: [npm, pypi], on_request: [crates], grants: [{id: jira, host: jira.example.com}]}
images: {default: coatcheck-runner:latest, allowed: ["java@sha256:${'a'.repeat(64)}"]}
limits: {memory: 2 GiB, work_disk: 512 MiB, tmp_disk: 256 MiB, turns: 10}
models:
  - {name: one, dialect: openai-chat, base_url: "http://127.0.0.1:1/v1"}
  - {name: two, dialect: anthropic-messages, base_url: "https://api.example.com/v1", key_env: KEY}
`;
const operator = parseOperatorConfig(OPERATOR, 'operator.yaml');
const NOW = Date.parse('2026-06-01T00:00:00Z');
const sources = { operator, organisation: null, repository: null, ruleFile: null, now: NOW };
const effective = (text: string) => effectivePolicy({ ...sources, repository: parseRepositoryConfig(text) });
const refusal = (text: string, code: string): string => {
  try {
    effective(text);
  } catch (thrown) {
    assert.ok(thrown instanceof CoatcheckError);
    assert.equal(thrown.code, code);
    return thrown.message;
  }
  return assert.fail('accepted');
};

test('the shipped policy states the defaults and serves nobody', () => {
  const policy = parseOperatorConfig(shipped, 'policies/default.yaml');
  assert.deepEqual(effectivePolicy({ ...sources, operator: policy }).limits, TaskLimits.parse({}));
  const bare = parseOperatorConfig('models: [{name: m, dialect: openai-chat, base_url: "http://m.test/v1"}]', 'bare.yaml');
  assert.deepEqual({ ...policy, models: [], limits: {}, egress: {} }, { ...bare, models: [], limits: {}, egress: {} });
  assert.equal(servesInstallation(policy, { id: 1, login: 'any' }), false);
});

test('installations are named by id or by login in any case', () => {
  const policy = { ...operator, installations: [7, 'Octo'] };
  assert.equal(servesInstallation(policy, { id: 7, login: 'x' }), true);
  assert.equal(servesInstallation(policy, { id: 8, login: 'oCTO' }), true);
  assert.equal(servesInstallation(policy, { id: 8, login: '7' }), false);
});

test('a repository narrows', () => {
  const policy = effective(
    'limits: {turns: 3}\negress: [jira, npm]\nmodel: two\nprotect: ["infra/**"]\nyardstick: {tests: ["qa/**"]}',
  );
  assert.equal(policy.limits.turns, 3);
  assert.equal(policy.limits.sandbox.memoryBytes, 2 * 1024 ** 3);
  assert.deepEqual(policy.egress.presets, ['npm']);
  assert.deepEqual(
    policy.egress.grants.map((g) => g.id),
    ['jira'],
  );
  assert.equal(policy.model.name, 'two');
  assert.ok(policy.protectedPaths.includes('infra/**') && policy.protectedPaths.includes('.github/workflows/**'));
  assert.ok(policy.yardstick.tests.includes('qa/**') && policy.yardstick.tests.length > 1);
  assert.deepEqual(effective('egress: []').egress, { presets: [], grants: [] });
  assert.deepEqual(effective('').egress.presets, ['npm', 'pypi']);
  assert.equal(effective(`image: java@sha256:${'a'.repeat(64)}`).image, `java@sha256:${'a'.repeat(64)}`);
});

test('asking for more is refused, naming both sides, all at once', () => {
  const text = refusal(
    `limits: {turns: 11, wall: 2 h}\negress: [crates, everything]\nmodel: three\nimage: x@sha256:${'b'.repeat(64)}`,
    'policy_widened',
  );
  assert.match(text, /limits.turns: the repository asks for 11, the operator allows 10/);
  assert.match(text, /limits.wall: the repository asks for 7200000, the operator allows 3600000/);
  assert.match(text, /"everything", the operator allows "npm", "pypi", "crates", "jira"/);
  assert.match(text, /"three", the operator allows "one", "two"/);
  assert.match(text, /image: the repository asks/);
  assert.equal(text.split('\n').length, 5);
});

test('every limit can be narrowed and none widened', () => {
  const texts: Record<string, [less: string, more: string]> = {
    memory: ['1900 MiB', '3 GiB'],
    cpus: ['1', '3'],
    work_disk: ['1 MiB', '1 GiB'],
    tmp_disk: ['1 MiB', '1 GiB'],
    wall: ['1 s', '9 h'],
    command: ['1 s', '9 h'],
    command_output: ['1 KiB', '9 MiB'],
    change_size: ['1 KiB', '9 GiB'],
    repository_size: ['1 KiB', '9 GiB'],
  };
  for (const name of LimitsFile.keyof().exclude(['work_in']).options) {
    const [less, more] = texts[name] ?? ['1', '9000000'];
    const narrowed = effective(`limits: {${name}: ${less}}`).limits;
    assert.ok(LIMIT_NAMES[name](narrowed).get() < LIMIT_NAMES[name](effective('').limits).get(), name);
    assert.match(refusal(`limits: {${name}: ${more}}`, 'policy_widened'), new RegExp(`limits.${name}:`));
  }
});

test('disks that do not fit into memory are refused', () => {
  assert.match(refusal('limits: {memory: 512 MiB}', 'configuration_invalid'), /headroom/);
});

test("the repository's commands stand in place of the rule file's", () => {
  const rules = readRuleFile('AGENTS.md', '## Commands\n- `make test` - test');
  const runs = (text: string) =>
    effectivePolicy({ ...sources, repository: parseRepositoryConfig(text), ruleFile: rules }).commands.map((c) => c.run);
  assert.deepEqual(runs(''), ['make test']);
  assert.deepEqual(runs('commands: {test: npm test}'), ['npm test']);
  assert.deepEqual(effectivePolicy({ ...sources, ruleFile: rules }).commands.length, 1);
});

test('the digest is stable and covers each part', () => {
  const seen = new Set<string>();
  const texts = [
    '',
    'limits: {turns: 3}',
    'egress: []',
    'model: two',
    'protect: [a]',
    'yardstick: {tests: [a]}',
    'commands: {test: x}',
  ];
  for (const text of texts) {
    const { digest } = effective(text);
    assert.match(digest, /^[0-9a-f]{64}$/);
    assert.equal(digest, effective(text).digest);
    seen.add(digest);
  }
  assert.equal(seen.size, texts.length);
});

test('a key in place of its variable name is refused without being shown', () => {
  const text = OPERATOR.replace('key_env: KEY', 'key_env: sk-secret-123');
  assert.throws(
    () => parseOperatorConfig(text, 'operator.yaml'),
    (thrown) =>
      thrown instanceof CoatcheckError &&
      /operator.yaml:7:\d+: .*environment variable/.test(thrown.message) &&
      !thrown.message.includes('sk-secret'),
  );
});

test('what is missing is named, with what it should be', () => {
  assert.throws(() => parseOperatorConfig('', 'o.yaml'), /o\.yaml:1:1: "models": is missing; allowed: a list of models/);
  assert.throws(
    () => parseOperatorConfig('models: [{name: a}]', 'o.yaml'),
    /o\.yaml:1:10: "models.0.dialect": .*allowed: anthropic-messages, openai-chat/,
  );
});
