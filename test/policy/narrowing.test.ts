/** Organisation and repository, each below the operator: what they may ask for, and that nothing ever widens. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CoatcheckError } from '../../src/errors.ts';
import { CAPABILITIES } from '../../src/policy/capabilities.ts';
import { type EffectivePolicy, effectivePolicy } from '../../src/policy/effective-policy.ts';
import { LIMIT_NAMES, type LimitName } from '../../src/policy/limits-file.ts';
import { parseOperatorConfig } from '../../src/policy/operator-config.ts';
import { OrganisationConfig, parseOrganisationConfig } from '../../src/policy/organisation-config.ts';
import { QuarantinePolicy, stricter } from '../../src/policy/quarantine.ts';
import { parseRepositoryConfig, RepositoryConfig } from '../../src/policy/repository-config.ts';
import { RUNS } from '../property-runs.ts';

const NOW = Date.parse('2026-06-01T00:00:00Z');
const JAVA = `java@sha256:${'a'.repeat(64)}`;
const RUST = `rust@sha256:${'b'.repeat(64)}`;
const OPERATOR = `
egress:
  presets: [npm, pypi]
  on_request: [crates]
  grants:
    - {id: jira, host: jira.example.com}
    - {id: old, host: old.example.com, expires: "2026-01-01T00:00:00Z"}
    - {id: db, how: service, host: db.test, port: 5432, listen: 5432}
    - {id: db2, how: service, host: db2.test, port: 5432, listen: 5432}
images: {allowed: ["${JAVA}", "${RUST}"]}
limits: {turns: 10, memory: 4 GiB}
quarantine: {binary: hold, large_file_size: 2 MiB}
runtime: {require: [no_network]}
models:
  - {name: one, dialect: openai-chat, base_url: "http://127.0.0.1:1/v1"}
  - {name: two, dialect: openai-chat, base_url: "http://127.0.0.1:1/v1"}
  - {name: three, dialect: openai-chat, base_url: "http://127.0.0.1:1/v1"}
`;
const operator = parseOperatorConfig(OPERATOR, 'operator.yaml');
const SOURCES = { operator, organisation: null, repository: null, ruleFile: null, now: NOW };
const policyOf = (organisation: string | null, repository: string | null, now = NOW): EffectivePolicy =>
  effectivePolicy({
    operator,
    organisation: organisation === null ? null : parseOrganisationConfig(organisation, 'octo/.github/.github/coatcheck.yml'),
    repository: repository === null ? null : parseRepositoryConfig(repository),
    ruleFile: null,
    now,
  });
const refusal = (organisation: string | null, repository: string | null): string => {
  try {
    policyOf(organisation, repository);
  } catch (thrown) {
    assert.ok(thrown instanceof CoatcheckError && thrown.code === 'policy_widened', String(thrown));
    return thrown.toString();
  }
  return assert.fail('accepted');
};
const grantsOf = ({ egress }: EffectivePolicy) => egress.grants.map(({ id }) => id);

test('an organisation stands in place of the defaults, and its repositories below it', () => {
  assert.deepEqual(policyOf(null, null).egress.presets, ['npm', 'pypi']);
  assert.deepEqual(policyOf('limits: {turns: 9}', null).egress.presets, ['npm', 'pypi'], 'no egress, no narrowing');
  assert.deepEqual(policyOf('egress: []', null).egress, { presets: [], grants: [] });
  const organisation = policyOf('egress: [crates, jira]', null);
  assert.deepEqual([organisation.egress.presets, grantsOf(organisation)], [['crates'], ['jira']]);
  const repository = policyOf('egress: [crates, jira]', 'egress: [jira]');
  assert.deepEqual([repository.egress.presets, grantsOf(repository)], [[], ['jira']]);
  assert.match(refusal('egress: [crates]', 'egress: [npm]'), /the repository asks for "npm", the organisation allows "crates"/);
  assert.match(refusal('egress: []', 'egress: [npm]'), /the organisation allows none/);
  assert.match(refusal('egress: [everything]', null), /the organisation asks for "everything", the operator allows "npm"/);
});

test('what has expired cannot be asked for, and says until when it could', () => {
  assert.match(refusal(null, 'egress: [old]'), /"old", which expired on 2026-01-01T00:00:00Z; ask the operator/);
  assert.match(refusal('egress: [old]', null), /the organisation asks for "old", which expired/);
  assert.deepEqual(grantsOf(policyOf('egress: [old, jira]', 'egress: [jira]')), ['jira'], 'nobody asks for it in the end');
  assert.deepEqual(grantsOf(policyOf(null, 'egress: [old]', Date.parse('2025-12-31T23:59:59Z'))), ['old']);
});

test('two services on one port inside cannot both be asked for', () => {
  assert.match(refusal(null, 'egress: [db, db2]'), /the grants "db" and "db2" both listen on port 5432/);
  assert.deepEqual(grantsOf(policyOf(null, 'egress: [db]')), ['db']);
});

test('models, images, limits and capabilities narrow level by level', () => {
  assert.equal(policyOf(null, null).model.name, 'one');
  assert.equal(policyOf('models: [three, two]', null).model.name, 'three');
  assert.equal(policyOf('models: [three, two]', 'model: two').model.name, 'two');
  assert.match(refusal('models: [three]', 'model: one'), /model: the repository asks for "one", the organisation allows "three"/);
  assert.match(refusal('models: [four]', null), /models: the organisation asks for "four", the operator allows/);
  assert.equal(policyOf(`images: ["${JAVA}"]`, null).image, 'coatcheck-runner:latest');
  assert.equal(policyOf(`images: ["${JAVA}"]`, `image: ${JAVA}`).image, JAVA);
  assert.match(refusal(`images: ["${JAVA}"]`, `image: ${RUST}`), /image: the repository asks for .* the organisation allows/);
  assert.equal(policyOf('limits: {turns: 5}', 'limits: {turns: 4}').limits.turns, 4);
  assert.match(
    refusal('limits: {turns: 5}', 'limits: {turns: 6}'),
    /limits.turns: the repository asks for 6, the organisation allows 5/,
  );
  assert.match(refusal('limits: {turns: 11}', null), /limits.turns: the organisation asks for 11, the operator allows 10/);
  assert.deepEqual(policyOf('runtime: {require: [kernel_witness]}', 'runtime: {require: [own_kernel]}').capabilities, [
    'own_kernel',
    'no_network',
    'kernel_witness',
  ]);
  assert.match(refusal(null, 'limits: {work_in: disk}'), /limits.work_in: the repository asks for disk/);
});

test('a quarantine only becomes stricter', () => {
  const { quarantine } = policyOf('quarantine: {binary: refuse}', 'quarantine: {manifest: hold, large_file_size: 1 MiB}');
  assert.deepEqual([quarantine.binary, quarantine.manifest, quarantine.largeFileBytes], ['refuse', 'hold', 1024 ** 2]);
  assert.match(
    refusal(null, 'quarantine: {binary: note}'),
    /quarantine.binary: the repository asks for note, which is less strict than hold/,
  );
  assert.match(refusal('quarantine: {binary: refuse}', 'quarantine: {binary: hold}'), /less strict than refuse/);
  assert.match(
    refusal('quarantine: {large_file_size: 3 MiB}', null),
    /quarantine.large_file_size: the organisation asks for 3145728/,
  );
});

test('a refusal names the files to correct', () => {
  assert.match(
    refusal('limits: {turns: 11}', ''),
    /Ask for less in \.github\/coatcheck\.yml of the repository \.github or \.github\/coatcheck\.yml,/,
  );
});

test('an organisation’s file is strict', () => {
  for (const [text, message] of [
    ['commands: {test: x}', /^octo\/\.github\/.*:1:1: unknown key "commands"; allowed: limits, egress, models, images,/],
    ['models: []', /:1:9: "models": /],
    ['images: [java]', /:1:10: "images\.0": must name an image by its digest/],
    ['quarantine: {binary: maybe}', /"quarantine\.binary": .*allowed: note, hold, refuse/],
  ] as const)
    assert.throws(
      () => policyOf(text, null),
      (thrown) => thrown instanceof CoatcheckError && message.test(thrown.message),
      text,
    );
});

/** A level's file as random text would never hit it; values on both sides of what is allowed. */
const names = fc.oneof(
  { weight: 3, arbitrary: fc.constant(null) },
  { weight: 3, arbitrary: fc.subarray(['npm', 'pypi', 'crates', 'jira']) },
  { weight: 1, arbitrary: fc.subarray(['npm', 'old', 'db', 'db2', 'nothing'], { maxLength: 2 }) },
);
const outcome = fc.constantFrom('refuse', 'refuse', 'refuse', 'hold', 'note');
const level = fc.record(
  {
    egress: names,
    limits: fc.record(
      { turns: fc.integer({ min: 1, max: 11 }), tokens: fc.integer({ min: 1, max: 2_100_000 }) },
      { requiredKeys: [] },
    ),
    quarantine: fc.record({ binary: outcome, secret: outcome, manifest: outcome }, { requiredKeys: [] }),
    runtime: fc.record({ require: fc.subarray([...CAPABILITIES]) }),
    protect: fc.subarray(['a/**', 'b/**']),
  },
  { requiredKeys: [] },
);
const organisations = fc.tuple(level, fc.option(fc.subarray(['one', 'two', 'three', 'four'], { minLength: 1 })));
const repositories = fc.tuple(level, fc.option(fc.constantFrom('one', 'two', 'three', 'four')));

/** Without what is left out; a schema takes no null for it. */
const written = ({ egress, ...rest }: { egress?: string[] | null }) => ({ ...rest, ...(egress != null && { egress }) });

/** That one policy allows nothing that another does not. */
function within(inner: EffectivePolicy, outer: EffectivePolicy): void {
  for (const name of ['turns', 'tokens', 'memory'] satisfies LimitName[])
    assert.ok(LIMIT_NAMES[name](inner.limits).get() <= LIMIT_NAMES[name](outer.limits).get(), name);
  for (const kind of QuarantinePolicy.keyof().options)
    assert.equal(stricter(inner.quarantine[kind], outer.quarantine[kind]), inner.quarantine[kind], kind);
  assert.ok(inner.quarantine.largeFileBytes <= outer.quarantine.largeFileBytes);
  for (const capability of outer.capabilities) assert.ok(inner.capabilities.includes(capability), capability);
  for (const glob of outer.protectedPaths) assert.ok(inner.protectedPaths.includes(glob), glob);
}

const namesIn = (policy: EffectivePolicy) => [...policy.egress.presets, ...grantsOf(policy)];

test('no level ever widens the one above', () => {
  const everything = ['npm', 'pypi', 'crates', 'jira', 'old', 'db', 'db2'];
  const alone = policyOf(null, null);
  let accepted = 0;
  fc.assert(
    fc.property(organisations, repositories, ([asked, models], [wanted, model]) => {
      const organisation = OrganisationConfig.parse({ ...written(asked), ...(models && { models }) });
      const config = RepositoryConfig.parse({ ...written(wanted), ...(model && { model }) });
      const repository = { config, commands: null };
      let policy: EffectivePolicy;
      try {
        policy = effectivePolicy({ ...SOURCES, organisation, repository });
      } catch (thrown) {
        assert.ok(thrown instanceof CoatcheckError && thrown.code === 'policy_widened', String(thrown));
        return;
      }
      accepted++;
      within(policy, alone);
      within(policy, effectivePolicy({ ...SOURCES, organisation: { ...organisation, egress: [] } }));
      const ceiling = asked.egress ?? (wanted.egress == null ? ['npm', 'pypi'] : everything);
      for (const name of namesIn(policy)) assert.ok(ceiling.includes(name) && name !== 'old', name);
      if (wanted.egress != null) assert.deepEqual(new Set(namesIn(policy)), new Set(wanted.egress));
      assert.ok((models ?? ['one', 'two', 'three']).includes(policy.model.name), policy.model.name);
      if (model !== null) assert.equal(policy.model.name, model);
    }),
    { numRuns: RUNS },
  );
  assert.ok(accepted > RUNS / 50, `${accepted} of ${RUNS} were accepted at all`);
});
