/** Changes that cannot be published, and honest ones that are made in strange ways; the model speaks OpenAI's dialect. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { EndReason, TaskState } from '../../src/task/task.ts';
import { eventsOf, type IssueOptions, type Outcome, run, scenario, startWay, type Way } from './way.ts';

const declared = (...lines: string[]): string => `${lines.join('\n')}\n`;
const TEST = 'commands:\n  test: test -s a.txt';

interface Case {
  readonly command: string;
  readonly configuration: string;
  readonly state: TaskState;
  readonly reason: EndReason;
  readonly says: RegExp;
}

const CASES: Readonly<Record<string, Case>> = {
  'case-heavy': {
    command: 'head -c 3000000 /dev/urandom >big.bin',
    configuration: declared('limits:', '  change_size: 1 MiB'),
    state: 'failed',
    reason: 'change_unreadable',
    says: /larger than 1048576 bytes \(limits\.change_size\)/,
  },
  'case-many': {
    command: 'for n in $(seq 30); do echo $n >file-$n; done',
    configuration: declared('limits:', '  changed_files: 20'),
    state: 'refused',
    reason: 'quarantine',
    says: /too many files.*More than 20 files change/,
  },
  'case-outside': {
    command:
      'mkdir deep; ln -s ../a.txt deep/fine; ln -s /etc/passwd absolute; ln -s ../../../etc deep/climbs; ln -s .git/config inside',
    configuration: declared('{}'),
    state: 'refused',
    reason: 'quarantine',
    says: /absolute.*symlink.*points out of the tree/,
  },
  'case-destroying': {
    command: 'rm -rf .git',
    configuration: declared('{}'),
    state: 'failed',
    reason: 'change_unreadable',
    says: /base commit is gone from \\?\.git/,
  },
  'case-emptying': {
    command: 'git rm -rq . && git checkout -q HEAD -- .github && ls',
    configuration: declared(TEST),
    state: 'draft',
    reason: 'verification_failed',
    says: /test -s a\.txt/,
  },
};

/** Made in the sandbox by the agent's git configuration, and on the host only if that is ever obeyed there. */
const MARKER = `/tmp/coatcheck-never-${process.pid}`;
const HOSTILE_GIT = [
  `mkdir -p .git/hooks && for hook in pre-commit post-commit post-checkout reference-transaction; do printf '#!/bin/sh\\ntouch ${MARKER}\\n' >.git/hooks/$hook; chmod +x .git/hooks/$hook; done`,
  `git config core.fsmonitor 'touch ${MARKER}; false'`,
  `git config filter.evil.clean 'touch ${MARKER}; cat'`,
  `git config filter.evil.smudge 'touch ${MARKER}; cat'`,
  'mkdir -p .git/info && echo "* filter=evil" >.git/info/attributes && echo "*.txt" >.git/info/exclude',
].join('\n');
const BUSY = [
  HOSTILE_GIT,
  'printf "b\\n" >b.txt; printf "#!/bin/sh\\n" >tool.sh; chmod +x tool.sh',
  'head -c 2000 /dev/urandom >picture.bin; printf "\\0\\1\\2" >>picture.bin',
  'git init -q nested && (cd nested && echo n >n.txt && git add . && git -c user.name=n -c user.email=n@n.test commit -qm n)',
  'echo changed >generated.txt; echo more >build/more',
  'git checkout -q -b elsewhere; git add -A 2>/dev/null; git -c user.name=Mallory -c user.email=m@m.test commit -qm "forged" || true',
  'printf "a and more\\n" >a.txt; git checkout -q --detach; git update-ref -d refs/heads/coatcheck || true',
  `test -e ${MARKER} && echo sprung`,
].join('\n');

let way: Way;
const outcomes = new Map<string, Promise<Outcome>>();

before(async () => {
  const works = (marker: string, command: string) =>
    scenario(marker, { rounds: [[{ calls: [run(command)] }, { text: `Title of ${marker}` }]] });
  way = await startWay({
    dialect: 'openai-chat',
    script: [...works('case-busy', BUSY), ...Object.entries(CASES).flatMap(([marker, { command }]) => works(marker, command))],
    policy: { limits: { verify_rounds: 0 } },
    environment: { COATCHECK_HOST_SLOTS: '4' },
  });
  const begin = (title: string, files: NonNullable<IssueOptions['files']>): void => {
    const outcome = way.runIssue({ title, files: { 'a.txt': 'a\n', ...files } });
    outcome.catch(() => {}); // whoever awaits it hears of it
    outcomes.set(title, outcome);
  };
  begin('case-busy', {
    '.github/coatcheck.yml': declared(
      'commands:',
      '  install: mkdir build && echo o >build/a.o && echo made >generated.txt',
      '  test: mkdir -p out && echo $$ >out/$$ && test -s a.txt',
    ),
  });
  for (const [title, { configuration }] of Object.entries(CASES)) begin(title, { '.github/coatcheck.yml': configuration });
});
after(async () => {
  await Promise.allSettled(outcomes.values());
  await way.close();
});

async function outcomeOf(title: string): Promise<Outcome> {
  const outcome = await outcomes.get(title);
  assert.ok(outcome, title);
  return outcome;
}

/** What git says of a repository on the forge. */
function gitOn({ end }: Outcome, ...args: string[]): string {
  const repository = path.join(path.dirname(way.deployment.dataDirectory), 'forge/repositories', `${end.task.repository.id}.git`);
  return execFileSync('git', [`--git-dir=${repository}`, ...args], { encoding: 'utf8' });
}

for (const [title, { state, reason, says }] of Object.entries(CASES)) {
  test(`${title.replace('case-', 'a change that is ')}: ${state}, ${reason}, said on the issue`, async () => {
    const { end, issue, pull } = await outcomeOf(title);
    assert.deepEqual([end.task.state, end.task.reason], [state, reason], end.task.message);
    assert.equal(issue.comments.length, 1);
    assert.match(issue.comments[0]?.body ?? '', says);
    assert.equal(pull?.pull?.draft, state === 'draft' ? true : undefined);
  });
}

test('links within the tree are not what a change is refused for', async () => {
  const { events } = await outcomeOf('case-outside');
  const paths = eventsOf(events, 'quarantine.checked').flatMap(({ findings }) => findings.map((finding) => finding.path));
  assert.deepEqual(paths.sort(), ['absolute', 'deep/climbs', 'inside']);
});

test('the tree as the agent leaves it is the change, whatever it did to git, without what set-up and baseline had made', async () => {
  const outcome = await outcomeOf('case-busy');
  const { end, events } = outcome;
  assert.deepEqual([end.task.state, end.task.reason], ['ready', 'verified'], end.task.message);
  const commit = end.traces.commit ?? '';
  const changes = gitOn(outcome, 'diff-tree', '-r', '--no-renames', end.task.base.sha, commit)
    .trim()
    .split('\n')
    .map((line) => line.replace(/^:(\d+) (\d+) \S+ \S+ (\w)\t(.*)$/, '$3 $2 $4'));
  assert.deepEqual(changes, ['M 100644 a.txt', 'A 100644 b.txt', 'A 100644 picture.bin', 'A 100755 tool.sh']);
  assert.equal(gitOn(outcome, 'rev-list', '--count', commit).trim(), '2');
  assert.match(
    gitOn(outcome, 'log', '-1', '--format=%an|%cn|%s', commit),
    /^coatcheck\[bot\]\|coatcheck\[bot\]\|Title of case-busy$/m,
  );
  const [taken] = eventsOf(events, 'change.taken');
  assert.deepEqual(taken?.leftOut, ['nested', 'build', 'generated.txt', 'out']);
  assert.match(await way.page(outcome), /Not part of the change.*nested, build, generated\.txt, out/);
  const [tool] = eventsOf(events, 'agent.tool');
  assert.match(tool?.output ?? '', /^sprung$/m, 'the traps spring where they are set');
  assert.ok(!existsSync(MARKER));
  assert.match((await way.diff(outcome)) ?? '', /Binary files .*picture\.bin differ|GIT binary patch/);
});

test('the dialect is the one that was asked for', async () => {
  const requests = await way.model.requests();
  assert.ok(requests.length > 10 && requests.every(({ path }) => path === '/v1/chat/completions'));
});

test('nothing is left of any of them', async () => {
  await Promise.all(outcomes.values());
  await way.nothingLeft();
});
