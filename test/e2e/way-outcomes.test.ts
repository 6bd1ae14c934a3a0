/** How a task ends, seen from GitHub: every outcome of a change, on the real way from the label to the sealed record. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { shortId } from '../../src/task/task.ts';
import { edit, eventsOf, HUMAN, type IssueOptions, type Outcome, run, scenario, startWay, type Way, write } from './way.ts';

const rules = (...commands: string[]) => `# Rules\n\n## Commands\n\n${commands.map((line) => `- ${line}`).join('\n')}\n`;
const TEST = '`sh test.sh` - run the tests';
/** The test wants blue and the base has red: red on the base, green on a good change. */
const RED = { 'AGENTS.md': rules(TEST), 'value.txt': 'red\n', 'test.sh': 'grep -q blue value.txt\n' };
const GREEN = { ...RED, 'test.sh': 'grep -q red value.txt || { echo it has to stay red; exit 3; }\n' };
const paint = edit('value.txt', 'red', 'blue');
const PACKAGE = (test: string) => `${JSON.stringify({ name: 'sample', private: true, scripts: { test } }, null, 2)}\n`;
const WORKFLOW = '.github/workflows/build.yml';
/** Has the form of a token and is none. */
const SECRET = `ghp_${'aB3xY7'.repeat(6)}`;

/** One issue for each outcome: its files, and what the agent does about it. The title is the scenario's marker. */
const ISSUES: Readonly<Record<string, Omit<IssueOptions, 'title'> & { readonly script: Parameters<typeof scenario>[1] }>> = {
  verified: {
    files: RED,
    body: 'The value is red.\n\nIt should be blue.',
    script: {
      plan: 'Paint value.txt blue and run test.sh.',
      rounds: [
        [{ calls: [paint] }, { calls: [run('sh test.sh')] }, { text: 'Paint it blue\n\nBecause @octo asked; closes #99.' }],
      ],
    },
  },
  breaking: {
    files: GREEN,
    script: { rounds: [[{ calls: [paint] }, { text: 'Paint it' }], [{ text: 'Paint it all the same' }]] },
  },
  rewriting: {
    files: RED,
    script: { rounds: [[{ calls: [write('test.sh', 'exit 0\n')] }, { text: 'Make the tests pass' }]] },
  },
  scripting: {
    files: { ...RED, 'AGENTS.md': rules('`npm test` - run the tests'), 'package.json': PACKAGE('sh test.sh') },
    repository: { drafts: false },
    script: { rounds: [[{ calls: [write('package.json', PACKAGE('true'))] }, { text: 'Make the tests pass' }]] },
  },
  undeclared: {
    files: { 'value.txt': 'red\n' },
    script: { rounds: [[{ calls: [paint] }, { text: 'Paint it' }]] },
  },
  unchanged: {
    files: RED,
    script: { rounds: [[{ calls: [run('sh test.sh; true')] }, { text: 'There is nothing to do' }]] },
  },
  forbidden: {
    files: RED,
    script: {
      rounds: [
        [
          { calls: [paint, write(WORKFLOW, 'on: push\njobs: {}\n'), write('deploy.conf', `user: x\ntoken: ${SECRET}\n`)] },
          { text: 'Build it' },
        ],
      ],
    },
  },
  overriding: {
    files: {
      ...RED,
      'AGENTS.md': rules('`sh never-there.sh` - run the tests'),
      '.github/coatcheck.yml': 'commands:\n  test: sh test.sh\n  lint: sh lint.sh\n',
      'lint.sh': 'echo the lint is red since long; exit 4\n',
    },
    script: {
      rounds: [
        [
          { calls: [paint, write('vendor/colour.sh', 'echo blue\n'), write('tests/test_colour.sh', 'sh vendor/colour.sh\n')] },
          { text: 'Paint it, with a test' },
        ],
      ],
    },
  },
  misconfigured: {
    files: { ...RED, '.github/coatcheck.yml': 'commands:\n  test: sh test.sh\ncomands:\n  lint: x\n' },
    script: { rounds: [[{ text: 'never asked' }]] },
  },
};

let way: Way;
const outcomes = new Map<string, Promise<Outcome>>();

before(async () => {
  const script = Object.entries(ISSUES).flatMap(([title, issue]) => scenario(`case-${title}`, issue.script));
  way = await startWay({ script, policy: { limits: { verify_rounds: 1, command: '30 s' } } });
  for (const [title, { script: _, ...issue }] of Object.entries(ISSUES)) {
    const outcome = way.runIssue({ ...issue, title: `case-${title}` });
    outcome.catch(() => {}); // its test hears of it
    outcomes.set(title, outcome);
  }
});
after(() => way?.close());

const ended = async (title: keyof typeof ISSUES & string): Promise<Outcome> => {
  const outcome = outcomes.get(title);
  assert.ok(outcome, title);
  return outcome;
};

/** A fact of git in the forge's own repository. */
async function git(outcome: Outcome, ...args: string[]): Promise<string> {
  const { id } = outcome.end.task.repository;
  const directory = path.join(path.dirname(way.deployment.dataDirectory), 'forge', 'repositories', `${id}.git`);
  return (await promisify(execFile)('git', [`--git-dir=${directory}`, ...args])).stdout.trim();
}

const verdictOf = ({ events }: Outcome) => eventsOf(events, 'verification')[0]?.verification;
const checksOf = ({ state, repository }: Outcome) => state.checkRuns.filter((check) => check.repository === repository);
const branchesOf = ({ state, repository }: Outcome) =>
  Object.keys(state.repositories.find(({ fullName }) => fullName === repository)?.refs ?? {});
const pushesOf = ({ state, repository }: Outcome) =>
  state.requests.filter((request) => request.operation === 'git git-receive-pack' && request.path.includes(repository));

/** What holds of every change that did not pass: whoever looks sees at once that it is not to be merged. */
function isUnproven(outcome: Outcome, reason: string): void {
  assert.deepEqual([outcome.end.task.state, outcome.end.task.reason], ['draft', reason]);
  assert.match(outcome.pull?.body ?? '', /^> \[!WARNING\]/m);
  assert.equal(outcome.pull?.pull?.draft, true);
}

test('verified: a commit of the verified tree, in the App’s name, with the human as co-author', async () => {
  const outcome = await ended('verified');
  const { end, pull, state, events } = outcome;
  assert.deepEqual([end.task.state, end.task.reason], ['ready', 'verified'], end.task.message);
  const sha = end.traces.commit ?? '';
  assert.equal(end.task.branch, `coatcheck/issue-${outcome.number}-${shortId(end.task.id)}`);
  assert.equal(state.repositories.find((one) => one.fullName === outcome.repository)?.refs[`refs/heads/${end.task.branch}`], sha);
  assert.equal(pull?.pull?.headSha, sha);
  assert.equal(await git(outcome, 'show', '-s', '--format=%T', sha), verdictOf(outcome)?.tree);
  assert.equal(await git(outcome, 'show', '-s', '--format=%P', sha), end.task.base.sha);
  const identity = /^coatcheck\[bot\] <\d+\+coatcheck\[bot\]@users\.noreply\.github\.com>$/;
  assert.match(await git(outcome, 'show', '-s', '--format=%an <%ae>', sha), identity);
  assert.match(await git(outcome, 'show', '-s', '--format=%cn <%ce>', sha), identity);
  const { id } = end.task.actor;
  assert.equal(
    await git(outcome, 'show', '-s', '--format=%(trailers:key=Co-authored-by,valueonly)', sha),
    `${HUMAN} <${id}+${HUMAN}@users.noreply.github.com>`,
  );
  assert.equal(await git(outcome, 'show', `${sha}:value.txt`), 'blue');
  assert.equal(eventsOf(events, 'commit.made')[0]?.sha, sha);
});

test('verified: the pull request says what, why, how it was verified and what it fixes', async () => {
  const { pull, number, end } = await ended('verified');
  const body = pull?.body ?? '';
  assert.equal(pull?.title, 'Paint it blue');
  assert.equal(pull?.pull?.draft, false);
  assert.equal(pull?.pull?.base, 'main');
  assert.match(body, /^Because /);
  assert.match(
    body,
    /### Verification\n\n\| command \| base \| clean room \|\n.*\n\| ` ?sh test\.sh ?` \(failed on the base\) \| ✗ exit 1.*\| ✓ /,
  );
  assert.match(body, /Paint value\.txt blue and run test\.sh\./);
  assert.match(body, new RegExp(`^Fixes #${number}$`, 'm'));
  assert.ok(body.includes(`<!-- coatcheck:task=${end.task.id} -->`));
  // The agent's own words call nobody and close nothing.
  assert.doesNotMatch(body, /@octo\b/);
  assert.doesNotMatch(body, /closes #99/i);
});

test('verified: the check run is green and carries the digest of the sealed record, whose subject is the commit', async () => {
  const outcome = await ended('verified');
  const [check, ...more] = checksOf(outcome);
  assert.deepEqual(more, []);
  assert.deepEqual([check?.status, check?.conclusion, check?.name], ['completed', 'success', 'coatcheck']);
  assert.equal(check?.headSha, outcome.end.traces.commit);
  assert.equal(check?.externalId, outcome.end.task.id);
  const lines = (await readFile(outcome.end.record, 'utf8')).split('\n').slice(0, -2);
  const digest = createHash('sha256')
    .update(`${lines.join('\n')}\n`)
    .digest('hex');
  assert.ok(check?.summary?.includes(`\`${digest}\``), 'the digest is in the check run');
  const subjects = outcome.record.sealed.subject.map((subject) => subject.digest);
  assert.deepEqual(subjects, [{ sha256: digest }, { gitCommit: outcome.end.traces.commit }]);
  assert.equal(outcome.record.key.attested, 'given');
});

test('verified: one comment that was edited to its end, the reactions, and the label taken off', async () => {
  const { issue, pull, end, page } = await ended('verified');
  assert.deepEqual(issue.labels, []);
  assert.deepEqual(
    issue.reactions.map(({ user, content }) => [user, content]),
    [
      ['coatcheck[bot]', 'eyes'],
      ['coatcheck[bot]', 'rocket'],
    ],
  );
  const [comment, ...more] = issue.comments;
  assert.deepEqual(more, []);
  assert.ok((comment?.edits ?? 0) >= 1, 'the comment was made early and edited');
  assert.match(comment?.body ?? '', /^\*\*Done: verified pull request\*\*/);
  assert.ok(comment?.body.includes(`Pull request: #${pull?.number}`));
  assert.ok(comment?.body.includes(page), 'it links to the task page');
  assert.ok(comment?.body.includes(`<!-- coatcheck:${end.task.id} -->`));
});

test('failing verification goes back to the agent, at most as often as allowed, and ends as a draft', async () => {
  const outcome = await ended('breaking');
  isUnproven(outcome, 'verification_failed');
  const rounds = eventsOf(outcome.events, 'step.ended').filter((event) => event.step === 'verify' && event.round !== undefined);
  assert.deepEqual(
    rounds.map(({ round }) => round),
    [1, 2],
  );
  const asked = await way.asked('case-breaking');
  assert.match(
    asked.at(-1) ?? '',
    /The runner verified your change, and it does not pass[\s\S]*exit code 3[\s\S]*it has to stay red/,
  );
  assert.doesNotMatch(asked[0] ?? '', /The runner verified your change/);
  assert.match(outcome.pull?.body ?? '', /fail on the change and did not fail on the base: ` ?sh test\.sh ?`/);
  assert.equal(checksOf(outcome)[0]?.conclusion, 'failure');
  assert.ok(outcome.issue.reactions.some(({ content }) => content === 'rocket'));
});

test('an agent that rewrites its failing test never gets a ready pull request', async () => {
  const outcome = await ended('rewriting');
  isUnproven(outcome, 'own_yardstick_only');
  assert.deepEqual(verdictOf(outcome)?.yardstickEdits, ['test.sh']);
  assert.match(outcome.pull?.body ?? '', /edits tests or command definitions of the base:\n- ` ?test\.sh ?`/);
  assert.match(outcome.pull?.body ?? '', /passes only with its own edits/);
  assert.equal(checksOf(outcome)[0]?.conclusion, 'failure');
  // The change does pass by its own yardstick: it is the base's that it fails.
  const passed = eventsOf(outcome.events, 'command.ran').filter(({ result }) => result.phase === 'clean_room');
  assert.deepEqual(
    passed.map(({ result }) => result.exitCode),
    [0],
  );
});

test('nor does one that rewrites the script behind the command; where there are no drafts, the pull request is marked', async () => {
  const outcome = await ended('scripting');
  assert.deepEqual([outcome.end.task.state, outcome.end.task.reason], ['draft', 'own_yardstick_only']);
  assert.deepEqual(verdictOf(outcome)?.yardstickEdits, ['package.json']);
  assert.match(outcome.pull?.body ?? '', /- ` ?package\.json ?`/);
  assert.match(outcome.pull?.body ?? '', /### Worth a look\n\n- ` ?package\.json ?`: manifest/);
  assert.equal(outcome.pull?.pull?.draft, false, 'GitHub has refused a draft');
  assert.match(outcome.pull?.title ?? '', /^\[draft\] Make the tests pass/);
  assert.match(outcome.pull?.body ?? '', /^> \[!WARNING\]/m);
  assert.equal(checksOf(outcome)[0]?.conclusion, 'failure');
});

test('nothing to verify with: a draft that says so, and a check that claims nothing', async () => {
  const outcome = await ended('undeclared');
  isUnproven(outcome, 'nothing_to_verify');
  assert.match(outcome.pull?.body ?? '', /declares no command that could verify the change/);
  assert.equal(checksOf(outcome)[0]?.conclusion, 'neutral');
  assert.match(outcome.issue.comments[0]?.body ?? '', /declares no build, test or lint command/);
});

test('no change: a comment and no pull request', async () => {
  const outcome = await ended('unchanged');
  assert.deepEqual([outcome.end.task.state, outcome.end.task.reason], ['no_change', 'nothing_changed']);
  assert.equal(outcome.pull, undefined);
  assert.deepEqual(branchesOf(outcome), ['refs/heads/main']);
  assert.equal(outcome.issue.comments.length, 1);
  assert.match(outcome.issue.comments[0]?.body ?? '', /changed no file/);
  assert.deepEqual(checksOf(outcome), []);
});

test('protected paths and secrets: held, with file and rule, the diff on the task page, and nothing pushed', async () => {
  const outcome = await ended('forbidden');
  assert.deepEqual([outcome.end.task.state, outcome.end.task.reason], ['held', 'approval_needed']);
  const comment = outcome.issue.comments[0]?.body ?? '';
  assert.match(comment, /^\*\*Held: a person has to approve\*\*/);
  assert.match(comment, /\.github\/workflows\/build\.yml ?`: protected path/);
  assert.match(comment, /deploy\.conf ?`: secret \(` ?Line 2: github GITHUB_TOKEN\. ?`\)/);
  assert.match(comment, /Nothing of it was published[\s\S]*keeps it until \d{4}-\d\d-\d\d at the latest[\s\S]*by hand/);
  assert.match((await way.diff(outcome)) ?? '', /^\+on: push$/m);
  assert.match(await way.page(outcome), /\+on: push/);
  assert.deepEqual(pushesOf(outcome), []);
  assert.deepEqual(branchesOf(outcome), ['refs/heads/main']);
  assert.equal(outcome.pull, undefined);
  assert.deepEqual(
    eventsOf(outcome.events, 'credential.minted').filter(({ kind }) => kind === 'repository_write'),
    [],
  );
  assert.notDeepEqual(pushesOf(await ended('verified')), [], 'a push would have been seen');
  assert.deepEqual(
    outcome.issue.reactions.map(({ content }) => content),
    ['eyes'],
  );
});

test('held: the change is kept and the record says so; the secret is nowhere but in it', async () => {
  const outcome = await ended('forbidden');
  const home = path.join(way.deployment.dataDirectory, 'changes', `${outcome.end.task.id}-1`);
  assert.match(await readFile(path.join(home, 'change.bundle'), 'latin1'), /^# v2 git bundle\n/);
  const [kept] = eventsOf(outcome.events, 'cleanup').flatMap(({ proof }) => proof.looked.filter(({ kind }) => kind === 'change'));
  assert.deepEqual([kept?.gone, typeof kept?.keptUntil], [false, 'string']);
  const [checked] = eventsOf(outcome.events, 'quarantine.checked');
  assert.deepEqual(
    checked?.findings.map(({ rule, path: file, outcome: what }) => `${what} ${rule} ${file}`),
    [`hold protected_path ${WORKFLOW}`, `hold dot_directory ${WORKFLOW}`, 'hold secret deploy.conf'],
  );
  assert.match(checked?.scanner ?? '', /^@secretlint\/secretlint-rule-preset-recommend \d/);
  const diff = (await way.diff(outcome)) ?? '';
  assert.match(diff, /^\+token: \[secret: github GITHUB_TOKEN\]$/m);
  const shown = [diff, await way.page(outcome), JSON.stringify(outcome.issue), await readFile(outcome.end.record, 'utf8')];
  for (const text of shown) assert.ok(!text.includes(SECRET));
  const others = await readdir(path.join(way.deployment.dataDirectory, 'changes'));
  assert.ok(!others.includes(`${(await ended('verified')).end.task.id}-1`), 'what was published is not kept');
});

test('an added test and an added file keep nobody from ready', async () => {
  const outcome = await ended('overriding');
  assert.deepEqual([outcome.end.task.state, outcome.end.task.reason], ['ready', 'verified'], outcome.end.task.message);
  assert.deepEqual(verdictOf(outcome)?.yardstickEdits, []);
  assert.equal(await git(outcome, 'show', `${outcome.end.traces.commit}:tests/test_colour.sh`), 'sh vendor/colour.sh');
});

test('the commands of .github/coatcheck.yml stand in place of the rule file’s, and a lint red on the base is held against nobody', async () => {
  const outcome = await ended('overriding');
  assert.deepEqual([outcome.end.task.state, outcome.end.task.reason], ['ready', 'verified'], outcome.end.task.message);
  const [policy] = eventsOf(outcome.events, 'policy.resolved');
  assert.deepEqual(
    policy?.commands.map(({ run: command, source }) => [command, source.file, source.line]),
    [
      ['sh test.sh', '.github/coatcheck.yml', 2],
      ['sh lint.sh', '.github/coatcheck.yml', 3],
    ],
  );
  assert.ok(verdictOf(outcome)?.redOnBase.includes('sh lint.sh'));
  assert.match(outcome.pull?.body ?? '', /` ?sh lint\.sh ?` \(failed on the base\) \| ✗ exit 4.*\| ✗ exit 4/);
  assert.equal(checksOf(outcome)[0]?.conclusion, 'success');
});

test('a bad .github/coatcheck.yml: refused with file, line and what is allowed, on the issue and the task page', async () => {
  const outcome = await ended('misconfigured');
  assert.deepEqual([outcome.end.task.state, outcome.end.task.reason], ['refused', 'policy']);
  const problem = /\.github\/coatcheck\.yml:3:1: .*comands.*commands/;
  assert.match(outcome.issue.comments[0]?.body ?? '', problem);
  assert.match(await way.page(outcome), problem);
  assert.equal(outcome.issue.reactions.at(-1)?.content, 'confused');
  assert.deepEqual(await way.asked('case-misconfigured'), []);
});

test('nothing is left behind, and at the end of the product no token is alive', async () => {
  await Promise.allSettled(outcomes.values());
  await way.nothingLeft();
  await way.deployment.product.close();
  const { tokens } = await way.forge.state();
  assert.deepEqual(
    tokens.filter(({ state }) => state === 'live'),
    [],
  );
});
