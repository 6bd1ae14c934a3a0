import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CoatcheckError } from '../../src/errors.ts';
import { EgressRule } from '../../src/policy/egress.ts';
import { foreignRepositories, placeOf, sharedPort } from '../../src/policy/grants.ts';
import { parseOperatorConfig } from '../../src/policy/operator-config.ts';

const MODELS = 'models: [{name: m, dialect: openai-chat, base_url: "http://m.test/v1"}]';
/** An operator's file with these grants, each on a line of its own from line 5 on. */
const file = (...grants: string[]) =>
  [MODELS, 'egress:', '  presets: [npm]', '  grants:', ...grants.map((grant) => `    - ${grant}`)].join('\n');
const grantsOf = (...grants: string[]) => parseOperatorConfig(file(...grants), 'o.yaml').egress.grants;
const problem = (...grants: string[]): string => {
  try {
    grantsOf(...grants);
  } catch (thrown) {
    assert.ok(thrown instanceof CoatcheckError && thrown.code === 'configuration_invalid', String(thrown));
    return thrown.message;
  }
  return assert.fail('accepted');
};
const UNTIL = 'expires: "2027-01-31T00:00:00Z"';

test('all four kinds of rule can be granted', () => {
  const grants = grantsOf(
    '{id: a, host: a.test}',
    '{id: b, how: tunnel, host: b.test, ports: [443, 8443], phases: [agent]}',
    `{id: c, how: service, host: db.test, port: 5432, listen: 5432, privateAddresses: [10.1.0.0/16], ${UNTIL}}`,
    '{id: d, how: repository, repository: octo/lib}',
    '{id: e, host: e.test, credential: {env: TOKEN, scheme: basic, user: bot}}',
  );
  assert.deepEqual(
    grants.map(({ how }) => how),
    ['inspect', 'tunnel', 'service', 'repository', 'inspect'],
  );
});

test('what opens private addresses needs an end', () => {
  const text = problem('{id: a, host: a.test}', '{id: b, host: b.test, privateAddresses: [10.0.0.0/8]}');
  assert.match(text, /^o\.yaml:6:\d+: "egress\.grants\.1\.privateAddresses": .*must have an end: add expires: "2027-/);
  assert.equal(grantsOf(`{id: b, host: b.test, privateAddresses: [10.0.0.0/8], ${UNTIL}}`).length, 1);
  assert.match(problem(`{id: b, host: b.test, expires: soon}`), /o\.yaml:5:\d+: "egress\.grants\.0\.expires":/);
});

test('an id stands once and is none of ours', () => {
  assert.match(problem('{id: a, host: a.test}', '{id: a, host: b.test}'), /o\.yaml:6:\d+: .*id of another grant too/);
  for (const id of ['git', 'model', 'snapshot', '"preset:npm"', '"preset:x"'])
    assert.match(problem(`{id: ${id}, host: a.test}`), /o\.yaml:5:\d+: "egress\.grants\.0\.id": is a name of our own/, id);
  assert.match(problem('{id: npm, host: a.test}'), /o\.yaml:5:\d+: .*the name of a preset too/);
  for (const id of ['constructor', '__proto__', '"a b"', '"a\\nb"', '""', 'a|b'])
    assert.match(problem(`{id: ${id}, host: a.test}`), /o\.yaml:5:\d+: "egress\.grants\.0\.id": must be letters, digits/, id);
  assert.equal(grantsOf('{id: "git.a/b-1", host: a.test}').length, 1);
});

test('a credential goes to one exact host, encrypted, in a header that carries one', () => {
  const cases: [grant: string, message: RegExp][] = [
    ['{id: a, host: "*.a.test", credential: {env: TOKEN}}', /one exact host/],
    ['{id: a, host: a.test, ports: [80, 443], credential: {env: TOKEN}}', /not encrypted/],
    ['{id: a, host: a.test, credential: {env: TOKEN, scheme: basic}}', /"basic" needs a user/],
    ['{id: a, host: a.test, credential: {env: TOKEN, user: bot}}', /no other scheme has one/],
    ['{id: a, host: a.test, credential: {env: TOKEN, scheme: basic, user: "a:b"}}', /without a colon/],
    ['{id: a, host: a.test, credential: {env: TOKEN, header: host}}', /carries no credential/],
    ['{id: a, host: a.test, credential: {env: TOKEN, header: X-Token}}', /lower case/],
    ['{id: a, how: tunnel, host: a.test, credential: {env: TOKEN}}', /unknown key "credential"/],
  ];
  for (const [grant, message] of cases) assert.match(problem(grant), message, grant);
  const secret = 'ghp_0123456789';
  const text = problem(`{id: a, host: a.test, credential: {env: ${secret}}}`);
  assert.match(text, /must be the name of an environment variable/);
  assert.ok(!text.includes(secret));
});

test('mistakes in a rule are told for the kind that was meant', () => {
  const cases: [grant: string, message: RegExp][] = [
    [
      '{id: a, how: tunel, host: a.test}',
      /5:\d+: "egress\.grants\.0\.how": is none of these; allowed: inspect, tunnel, service, repository/,
    ],
    [
      '{id: a, how: tunnel, host: a.test, paths: [/]}',
      /unknown key "paths" in "egress\.grants\.0"; allowed: how, id, phases, privateAddresses, expires, host, ports$/,
    ],
    [
      '{id: a, how: service, host: a.test}',
      /"egress\.grants\.0\.port": is missing.*\n.*"egress\.grants\.0\.listen": is missing; allowed: the port on 127\.0\.0\.1 inside/,
    ],
    ['{id: a, host: a.test, how: service, port: 5432, listen: 80}', /"egress\.grants\.0\.listen": .*1024/],
    ['{id: a, how: repository, repository: lib}', /"egress\.grants\.0\.repository": must be owner\/name/],
    [
      '{id: a, how: repository, repository: octo/lib, host: x.test}',
      /unknown key "host" in .*; allowed: how, id, phases, expires, repository/,
    ],
    [
      '{id: a, host: a.test, verbs: [GET]}',
      /unknown key "verbs" in "egress\.grants\.0"; allowed: how, id, .*methods, paths, exact, credential/,
    ],
    ['{id: a, host: a.test, phases: [night]}', /"egress\.grants\.0\.phases\.0": .*allowed: setup, agent, verify/],
    ['{id: a}', /"egress\.grants\.0\.host": is missing; allowed: an exact host name/],
    ['a.test', /"egress\.grants\.0": expected object/],
    ['{id: a, how: service, host: "*.a.test", port: 1, listen: 5432}', /a service is one exact host/],
  ];
  for (const [grant, message] of cases) assert.match(problem(grant), message, grant);
});

test('a preset that there is not stops the start with its place', () => {
  const start = (egress: string) => parseOperatorConfig(`${MODELS}\negress: ${egress}`, 'o.yaml').egress;
  assert.deepEqual(start('{presets: [npm], on_request: [go, crates]}').on_request, ['go', 'crates']);
  for (const egress of ['{presets: [nmp]}', '{on_request: [nmp]}', '{presets: ["../default"]}'])
    assert.throws(
      () => start(egress),
      /o\.yaml:2:\d+: "egress\.\w+\.0": there is no preset ".*", only crates, debian, go, maven, npm, pypi/,
      egress,
    );
});

test('runc gives no kernel of its own, and a policy that asks for one with it does not start', () => {
  const start = (runtime: string) => parseOperatorConfig(`${MODELS}\nruntime: ${runtime}`, 'o.yaml').runtime;
  assert.equal(start('{}').require.length, 5);
  assert.throws(
    () => start('{allow: [runc]}'),
    /o\.yaml:2:10: "runtime\.require": runc shares the host's kernel and cannot give own_kernel, kernel_witness/,
  );
  assert.deepEqual(start('{allow: [runc], require: [no_network]}').require, ['no_network']);
  assert.equal(start('{allow: [runsc, runc]}').require.length, 5);
  assert.throws(
    () => start('{require: [own_kernal]}'),
    /o\.yaml:2:\d+: "runtime\.require\.0": .*allowed: own_kernel, no_network/,
  );
});

test('two services on one port inside, and repositories of another account, are found', () => {
  const service = (id: string, listen: number) => EgressRule.parse({ how: 'service', id, host: 'db.test', port: 5432, listen });
  assert.equal(sharedPort([service('a', 5432), service('b', 5433)]), null);
  assert.match(sharedPort([service('a', 5432), service('b', 5432)]) ?? '', /"a" and "b" both listen on port 5432/);
  const repository = EgressRule.parse({ how: 'repository', id: 'lib', repository: 'Octo/lib' });
  assert.deepEqual(foreignRepositories([repository, service('a', 5432)], 'octo'), []);
  assert.match(
    foreignRepositories([repository], 'other').join(),
    /"lib" opens Octo\/lib, but this task's installation is of other alone/,
  );
});

test('a grant for a name of GitHub’s that the door answers itself is a mistake, said with its place and what to write', () => {
  const names = ['https://api.github.com', 'https://github.com'].map(placeOf);
  const read = (grant: string, places = names) => parseOperatorConfig(file('{id: a, host: a.test}', grant), 'o.yaml', places);
  for (const grant of [
    '{id: gh, host: github.com}',
    '{id: gh, host: api.github.com, paths: [/repos/octo], phases: [agent]}',
    '{id: gh, how: tunnel, host: github.com, ports: [22, 443]}',
    '{id: gh, how: service, host: github.com, port: 443, listen: 8443}',
  ])
    assert.throws(
      () => read(grant),
      /o\.yaml:6:\d+: "egress\.grants\.1\.host": is GitHub itself, .* never apply: .* \{how: repository, id: NAME, repository: OWNER\/NAME\}/,
      grant,
    );
  for (const grant of [
    '{id: gh, host: objects.githubusercontent.com}',
    '{id: gh, host: "*.github.com"}',
    '{id: gh, how: service, host: github.com, port: 22, listen: 2222}',
    '{id: gh, how: repository, repository: octo/lib}',
  ])
    assert.equal(read(grant).egress.grants.length, 2, grant);
  const enterprise = [placeOf('https://ghe.test:8443/api/v3')];
  assert.throws(() => read('{id: gh, host: ghe.test, ports: [8443]}', enterprise), /on port 8443 the door answers for ghe\.test/);
  assert.equal(read('{id: gh, host: ghe.test}', enterprise).egress.grants.length, 2);
});
