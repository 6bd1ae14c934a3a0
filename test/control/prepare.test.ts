import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { OrganisationFile } from '../../src/control/organisation.ts';
import { prepare } from '../../src/control/prepare.ts';
import type { GitHub, Installation } from '../../src/github/github.ts';
import { parseOperatorConfig } from '../../src/policy/operator-config.ts';
import { readPresets } from '../../src/policy/presets.ts';
import { WorkOrder } from '../../src/task/work-order.ts';
import { SHA, task } from './task.fixture.ts';

const operator = parseOperatorConfig(
  `
egress:
  presets: [npm]
  on_request: [go]
  grants:
    - {id: mine, how: repository, repository: octo/library}
    - {id: foreign, how: repository, repository: other/library}
models: [{name: m, dialect: openai-chat, base_url: "http://m.test/v1"}]
`,
  'policy.yaml',
);
const idOf = (text: string) => createHash('sha1').update(text).digest('hex');
const GO_SUM = `golang.org/x/text v0.3.0/go.mod h1:${'a'.repeat(42)}A=\n`;

/** Prepares a task of a repository that holds these files; a mode stands before a text, as `120000:target`. */
async function prepared(
  files: Readonly<Record<string, string>>,
  organisation: string | null = null,
  repository = task().repository,
) {
  const asked: string[] = [];
  const found = (path: string) => files[path]?.replace(/^120000:/, '');
  const installation: Partial<Installation> = {
    findEntry: async (_repository, sha, path) => {
      assert.equal(sha, SHA, 'the base, whatever its branch has become');
      asked.push(path);
      const text = found(path);
      const mode = files[path]?.startsWith('120000:') === true ? '120000' : '100644';
      return text === undefined ? null : { path, mode, type: 'blob', sha: idOf(text), size: text.length };
    },
    readBlob: async (_repository, sha) =>
      Buffer.from(
        Object.keys(files)
          .map(found)
          .find((text) => text !== undefined && idOf(text) === sha) ?? '',
      ),
  };
  const file: OrganisationFile | null =
    organisation === null
      ? null
      : { path: '.github/coatcheck.yml', blob: idOf(organisation), text: organisation, repository: 'octo/.github', commit: SHA };
  const made = await prepare(task({ repository }), {
    github: { installation: () => installation } as Partial<GitHub> as GitHub,
    operator,
    presets: readPresets(['npm', 'go']),
    organisationOf: async () => file,
    githubUrls: { apiUrl: 'https://api.github.test', webUrl: 'https://github.test' },
  });
  assert.deepEqual(WorkOrder.parse(made.work), made.work, 'a host can read it');
  return { ...made, asked };
}

test('without any file the operator’s policy stands, with all that it requires', async () => {
  const { work, organisation, lockFile, asked } = await prepared({});
  assert.deepEqual(
    work.egress.map(({ id }) => id),
    ['preset:npm'],
  );
  assert.equal(work.capabilities.length, 5);
  assert.equal(work.quarantine.secret, 'hold');
  assert.deepEqual([organisation, lockFile], [null, null]);
  assert.ok(!asked.includes('go.sum'), 'a lock file is read where a preset needs it');
});

test('the go preset opens what the base’s go.sum names, and the record can say which one', async () => {
  const { work, lockFile } = await prepared({ '.github/coatcheck.yml': 'egress: [go, mine]', 'go.sum': GO_SUM });
  const [go, mine] = work.egress;
  assert.ok(go?.how === 'inspect' && go.exact);
  assert.deepEqual(go.paths, ['/golang.org/x/text/@v/v0.3.0.info', '/golang.org/x/text/@v/v0.3.0.mod']);
  assert.equal(mine?.how, 'repository');
  assert.equal(lockFile?.blob, idOf(GO_SUM));
  assert.deepEqual((await prepared({ '.github/coatcheck.yml': 'egress: [go]' })).work.egress, [], 'without one, nothing');
  const broken = { '.github/coatcheck.yml': 'egress: [go]', 'go.sum': 'evil.test/x latest\n' };
  await assert.rejects(prepared(broken), { code: 'configuration_invalid', message: /^go\.sum:1: / });
  const link = { '.github/coatcheck.yml': 'egress: [go]', 'go.sum': '120000:../other/go.sum' };
  await assert.rejects(prepared(link), { code: 'configuration_invalid', message: /go\.sum is not a regular file/ });
});

test('a repository of another account is nobody’s to grant', async () => {
  await assert.rejects(prepared({ '.github/coatcheck.yml': 'egress: [foreign]' }), {
    code: 'policy_widened',
    message: /"foreign" opens other\/library, but this task's installation is of octo alone/,
  });
});

test('the organisation’s file narrows, and its mistakes are told under its own name', async () => {
  const { work, organisation } = await prepared({}, 'egress: []\nquarantine: {secret: refuse}');
  assert.deepEqual([work.egress, work.quarantine.secret, organisation?.commit], [[], 'refuse', SHA]);
  await assert.rejects(prepared({}, 'commands: {}'), {
    code: 'configuration_invalid',
    message: /^octo\/\.github\/\.github\/coatcheck\.yml:1:1: unknown key "commands"/,
  });
});

test('in the organisation’s own repository its file is not read as the repository’s too', async () => {
  const own = { ...task().repository, name: '.github' };
  const { asked, work } = await prepared({ '.github/coatcheck.yml': 'models: [m]' }, 'models: [m]', own);
  assert.ok(!asked.includes('.github/coatcheck.yml'));
  assert.equal(work.model.name, 'm');
  await assert.rejects(prepared({ '.github/coatcheck.yml': 'models: [m]' }), { code: 'configuration_invalid' });
});
