/** Repositories that are large, odd or on the move, or whose commands do not behave. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { Step } from '../../src/audit/events.ts';
import { gitAs, PERSON } from '../git/repositories.ts';
import { configured, FAILING, WILD } from './input-commands.ts';
import { edit, eventsOf, HUMAN, type IssueOptions, type Outcome, run, scenario, startWay, type Way, write } from './way.ts';

const MiB = 1024 * 1024;
const COMMIT = '1234567890123456789012345678901234567890';

/** A tree entry as fast-import takes it: mode, path as bytes, and content or the commit of a submodule. */
type Entry = readonly [mode: '100644' | '100755' | '120000' | '160000', path: string, content: string | Buffer];

/** A repository with one commit of these entries, below `root`. */
function imported(root: string, name: string, entries: readonly Entry[]): string {
  const directory = path.join(root, name);
  execFileSync('git', ['init', '--quiet', '--bare', '--initial-branch=main', directory], { env: PERSON });
  gitAs(directory, ['config', 'pack.compression', '0']);
  const parts: (string | Buffer)[] = ['commit refs/heads/main\ncommitter A <a@people.test> 1700000000 +0000\ndata 0\n'];
  for (const [mode, file, content] of entries) {
    const quoted = `"${file.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n')}"`;
    if (mode === '160000') parts.push(`M ${mode} ${content} ${quoted}\n`);
    else parts.push(`M ${mode} inline ${quoted}\ndata ${Buffer.byteLength(content)}\n`, content, '\n');
  }
  gitAs(directory, ['fast-import', '--quiet', '--force'], Buffer.concat(parts.map((part) => Buffer.from(part))));
  return directory;
}

const POINTER =
  'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n';
/** What the sandbox has to see of all this; run by the repository's own test. */
const CHECK = [
  'set -eu',
  'grep -q "^oid sha256:4d7a" model.bin',
  'test -d vendor/lib && test -z "$(ls -A vendor/lib)"',
  'test "$(readlink inside)" = a.txt && test "$(cat inside | head -c 1)" = a',
  'test "$(readlink dangling)" = ../nowhere && test ! -e dangling',
  'test "$(od -An -tx1 dos.txt | tr -d " \\n")" = 610d0a',
  'test -x tool.sh && test ! -x plain.sh',
  'test -f "a file.txt" && test -f ./-dash && test -f "🦊.txt" && test -f \'quote".txt\' && test -f "new\nline"',
  'test "$(git rev-parse --abbrev-ref origin/trunk)" = origin/trunk',
];
const ODD: readonly Entry[] = [
  ['100644', 'AGENTS.md', '## Commands\n\n- `sh check.sh` - test\n'],
  ['100644', 'check.sh', `${CHECK.join('\n')}\n`],
  ['100644', 'a.txt', 'a\n'],
  ['100644', '.gitmodules', '[submodule "lib"]\n\tpath = vendor/lib\n\turl = ext::sh -c touch% /tmp/never\n'],
  ['160000', 'vendor/lib', COMMIT],
  ['100644', '.gitattributes', '*.bin filter=lfs diff=lfs merge=lfs -text\n'],
  ['100644', 'model.bin', POINTER],
  ['120000', 'inside', 'a.txt'],
  ['120000', 'dangling', '../nowhere'],
  ['100644', 'dos.txt', 'a\r\n'],
  ['100755', 'tool.sh', '#!/bin/sh\n'],
  ['100644', 'plain.sh', '#!/bin/sh\n'],
  ...['a file.txt', '-dash', '🦊.txt', 'quote".txt', "it's", 'new\nline', 'שלום/عالم.md', '.hidden/x'].map(
    (name): Entry => ['100644', name, `${name}\n`],
  ),
];

const weighty = (): Entry[] => [
  ['100644', 'a.txt', 'a\n'],
  ['100644', 'big.bin', randomBytes(50 * MiB)],
  ...Array.from({ length: 10_000 }, (_, n): Entry => ['100644', `src/d${n % 100}/file-${n}.txt`, `file ${n}\n`]),
];

let way: Way;
const root = mkdtempSync(path.join(tmpdir(), 'coatcheck-input-'));
const outcomes = new Map<string, Promise<Outcome>>();

before(async () => {
  const adds = (marker: string) =>
    scenario(marker, { rounds: [[{ calls: [write('b.txt', 'b\n')] }, { text: `Title of ${marker}` }]] });
  way = await startWay({
    environment: { COATCHECK_HOST_SLOTS: '4' },
    script: [
      ...scenario('case-odd', {
        rounds: [[{ calls: [edit('a.txt', 'a', 'ab'), run('git status --short; git submodule status')] }, { text: 'Odd' }]],
      }),
      ...['case-weighty', 'case-moving', 'case-large', 'case-wild', ...Object.keys(FAILING)].flatMap(adds),
    ],
    policy: { limits: { verify_rounds: 0 } },
  });
  const begin = (title: string, options: Omit<IssueOptions, 'title'>): void => {
    const outcome = way.runIssue({ title, ...options });
    outcome.catch(() => {}); // whoever awaits it hears of it
    outcomes.set(title, outcome);
  };
  // It waits for its limits most of the time, so it goes first.
  outcomes.set('case-wild', (await way.begin({ title: 'case-wild', files: configured({ test: Object.keys(WILD) }) })).outcome);
  for (const [title, { commands }] of Object.entries(FAILING)) begin(title, { files: configured(commands) });
  begin('case-odd', { repository: { defaultBranch: 'trunk', fromPath: imported(root, 'odd', ODD) } });
  begin('case-weighty', { repository: { fromPath: imported(root, 'weighty', weighty()) } });
  outcomes.set('case-moving', moving());
  begin('case-large', {
    files: {
      '.github/coatcheck.yml': 'limits:\n  repository_size: 1 MiB\n',
      'large.bin': { base64: randomBytes(3 * MiB).toString('base64') },
    },
  });
});
after(async () => {
  await Promise.allSettled(outcomes.values());
  await way.close();
  rmSync(root, { recursive: true, force: true });
});

/** The branch moves after the issue was taken and before the repository is fetched. */
async function moving(): Promise<Outcome> {
  const branch = 'release/2026';
  const at = await way.openIssue({
    title: 'case-moving',
    files: { 'a.txt': 'a\n', 'AGENTS.md': '## Commands\n\n- `test "$(cat a.txt)" = a` - test\n' },
    repository: { name: 'moving', defaultBranch: branch },
  });
  const held = await way.forge.misbehave({
    operation: '^git info/refs git-upload-pack$',
    path: at.repository,
    action: { do: 'hold' },
  });
  await way.label(at);
  await way.forge.waitFor(({ misbehaviour }) => misbehaviour.some(({ id, holding }) => id === held.id && holding > 0), 60_000);
  await way.forge.pushCommit({ repository: at.repository, branch, files: { 'a.txt': 'moved\n' }, message: 'Move', as: HUMAN });
  await way.forge.release(held.id);
  return (await way.follow(at)).outcome;
}

async function outcomeOf(title: string): Promise<Outcome> {
  const outcome = await outcomes.get(title);
  assert.ok(outcome, title);
  return outcome;
}

/** What git says of a repository on the forge. */
function gitOn({ end }: Outcome, ...args: string[]): string {
  const below = path.join(path.dirname(way.deployment.dataDirectory), 'forge/repositories');
  return gitAs(path.join(below, `${end.task.repository.id}.git`), args);
}

const msOf = ({ events }: Outcome, step: Step): number =>
  eventsOf(events, 'step.ended').reduce((sum, ended) => sum + (ended.step === step ? ended.ms : 0), 0);

test('submodules, large-file pointers, links, odd names, modes and line ends come in and stay as they are', async (t) => {
  const outcome = await outcomeOf('case-odd');
  assert.deepEqual([outcome.end.task.state, outcome.end.task.reason], ['ready', 'verified'], outcome.end.task.message);
  assert.equal(outcome.pull?.pull?.base, 'trunk');
  const { base } = outcome.end.task;
  const commit = outcome.end.traces.commit ?? '';
  assert.equal(gitOn(outcome, 'diff-tree', '-r', '--name-status', base.sha, commit), 'M\ta.txt');
  assert.match(gitOn(outcome, 'ls-tree', commit, 'vendor/lib'), new RegExp(`^160000 commit ${COMMIT}`));
  const [, looked] = eventsOf(outcome.events, 'agent.tool');
  assert.match(looked?.output ?? '', /^ ?M a\.txt\n-1234567890\S* vendor\/lib\n/m);
  t.diagnostic(`lay_in ${Math.round(msOf(outcome, 'lay_in'))} ms, in two sandboxes`);
});

test('ten thousand files and one of 50 MB are within sensible time', async (t) => {
  const outcome = await outcomeOf('case-weighty');
  assert.deepEqual([outcome.end.task.state, outcome.end.task.reason], ['draft', 'nothing_to_verify'], outcome.end.task.message);
  assert.equal(
    gitOn(outcome, 'diff-tree', '-r', '--name-status', outcome.end.task.base.sha, outcome.end.traces.commit ?? ''),
    'A\tb.txt',
  );
  const [change] = eventsOf(outcome.events, 'change.taken');
  assert.ok((change?.bytes ?? MiB) < 10_000, 'the change is small, whatever it stands on');
  const times = (['mirror', 'lay_in', 'take_out', 'quarantine'] as const).map(
    (step) => [step, Math.round(msOf(outcome, step))] as const,
  );
  t.diagnostic(times.map(([step, ms]) => `${step} ${ms} ms`).join(', '));
  for (const [step, ms] of times) assert.ok(ms < 30_000, `${step} took ${ms} ms`);
});

test('a base branch that moves on does not change what is worked on', async () => {
  const outcome = await outcomeOf('case-moving');
  assert.deepEqual([outcome.end.task.state, outcome.end.task.reason], ['ready', 'verified'], outcome.end.task.message);
  const { base } = outcome.end.task;
  assert.equal(gitOn(outcome, 'rev-parse', `${outcome.end.traces.commit}^`), base.sha);
  assert.equal(gitOn(outcome, 'rev-parse', 'release/2026^'), base.sha, 'the branch has moved');
  assert.equal(outcome.pull?.pull?.base, 'release/2026');
});

test('a repository over its limit is refused with words', async () => {
  const { end, issue, events } = await outcomeOf('case-large');
  assert.deepEqual([end.task.state, end.task.reason], ['failed', 'repository_unreadable'], end.task.message);
  assert.match(issue.comments[0]?.body ?? '', /larger than the limit of 1048576 bytes.*limits\.repository_size/);
  assert.deepEqual(eventsOf(events, 'model.call'), []);
});

for (const [title, { reason, says }] of Object.entries(FAILING)) {
  test(`${title.replace('case-', 'a repository that is ')}: ${reason}, with the output on the issue`, async () => {
    const { end, issue, events } = await outcomeOf(title);
    assert.deepEqual([end.task.state, end.task.reason], ['failed', reason], end.task.message);
    const said = issue.comments[0]?.body ?? '';
    assert.match(said, says);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is in it is the point
    assert.doesNotMatch(said, /[\u0000-\u0008\u000e-\u001f]|@octo|<b>/);
    assert.deepEqual(eventsOf(events, 'model.call'), []);
  });
}

test('commands that hang, flood, fork, fill, linger and kill fail by their limits, and the rest is judged', async () => {
  const outcome = await outcomeOf('case-wild');
  const { end, events, pull, issue } = outcome;
  assert.deepEqual([end.task.state, end.task.reason], ['ready', 'verified'], end.task.message);
  const results = eventsOf(events, 'command.ran').map(({ result }) => result);
  for (const [command, expected] of Object.entries(WILD)) {
    const all = results.filter((result) => result.command === command);
    assert.deepEqual(
      all.map(({ phase }) => phase),
      ['baseline', 'verify', 'clean_room'],
      command,
    );
    for (const result of all) expected(result);
    assert.ok(
      all.every(({ ms }) => ms < 10_000),
      `${command}: ${all.map(({ ms }) => ms)}`,
    );
  }
  assert.deepEqual(
    eventsOf(events, 'sandbox.ended').map(({ cause }) => cause),
    ['closed', 'closed'],
  );
  const shown = [pull?.body ?? '', issue.comments[0]?.body ?? '', await way.page(outcome)];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is in it is the point
  for (const text of shown) assert.doesNotMatch(text, /[\u0000-\u0008\u000e-\u001f\u202e]/);
  assert.ok(shown[2]?.includes('&lt;!--'), 'output is escaped on the page');
  const changed = eventsOf(events, 'quarantine.checked').flatMap(({ files }) => files.map((file) => file.path));
  assert.deepEqual(changed, ['b.txt']);
});

test('nothing is left of any of them', async () => {
  await Promise.all(outcomes.values());
  await way.nothingLeft();
});
