/** Declared commands that do not behave: they fail by their limits, and harm neither what follows nor the host. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { stringify } from 'yaml';
import { type EventOf, eventsOf, type IssueOptions, type Outcome, scenario, startWay, type Way, write } from './way.ts';

type Result = EventOf<'command.ran'>['result'];

/** Each wild command, and how it has to look in every phase. */
const WILD: Readonly<Record<string, (result: Result) => void>> = {
  'test -s a.txt': (result) => assert.equal(result.exitCode, 0),
  'echo waiting; sleep 1000': (result) => {
    assert.equal(result.end, 'timed_out');
    assert.match(result.outputTail, /waiting/);
  },
  'yes without end': (result) => {
    assert.equal(result.end, 'timed_out');
    assert.ok(result.truncated && result.outputTail.length <= 8000);
  },
  'bomb() { bomb | bomb & }; bomb; sleep 1000': (result) => assert.notEqual(result.exitCode, 0),
  'cat /dev/zero >filler; code=$?; rm filler; exit $((code + 40))': (result) => {
    assert.equal(result.exitCode, 41);
    assert.match(result.outputTail, /No space left on device/);
  },
  'setsid sh -c "while :; do echo x >>../home/alive; sleep 0.05; done" >/dev/null 2>&1 & sleep 0.3; test -s ../home/alive': (
    result,
  ) => assert.equal(result.exitCode, 0),
  'before=$(wc -c <../home/alive); sleep 0.3; test $before = $(wc -c <../home/alive)': (result) =>
    assert.equal(result.exitCode, 0, 'the daemon of the command before is gone'),
  'kill -9 $PPID 2>/dev/null; kill -9 -1; exit 5': (result) => assert.notEqual(result.exitCode, 0),
  [String.raw`printf '\033[31mred\033[0m \342\200\256bidi \000\001\377 @octo <!-- '; exit 3`]: (result) => {
    assert.equal(result.exitCode, 3);
    assert.match(result.outputTail, /red/);
  },
};
const LIMITS = {
  command: '1 s',
  processes: 64,
  memory: '512 MiB',
  work_disk: '128 MiB',
  tmp_disk: '32 MiB',
  command_output: '16 KiB',
};

const configured = (commands: object): NonNullable<IssueOptions['files']> => ({
  'a.txt': 'a\n',
  '.github/coatcheck.yml': stringify({ commands, limits: LIMITS }, { lineWidth: 0 }),
});

const FAILING: Readonly<Record<string, { commands: object; reason: string; says: RegExp }>> = {
  'case-unready': {
    commands: {
      install: [
        String.raw`printf 'setting up\n\033[1mboom\033[0m: \x40octo \x60\x60\x60 \x3cb>missing thing\n' >&2; exit 7`,
        'true',
      ],
    },
    reason: 'setup_failed',
    says: /ended with exit code 7 on the base.*boom.*missing.*Make the install commands work on the base branch/s,
  },
  'case-waiting': {
    commands: { install: 'echo downloading the internet; sleep 1000' },
    reason: 'setup_failed',
    says: /was stopped after 1 s on the base.*downloading the internet/s,
  },
  'case-full': {
    commands: { test: 'cat /dev/zero >/tmp/filler' },
    reason: 'change_unreadable',
    says: /No space left on device/,
  },
};

let way: Way;
const outcomes = new Map<string, Promise<Outcome>>();

before(async () => {
  way = await startWay({
    script: ['case-wild', ...Object.keys(FAILING)].flatMap((marker) =>
      scenario(marker, { rounds: [[{ calls: [write('b.txt', 'b\n')] }, { text: 'All the same' }]] }),
    ),
    policy: { limits: { verify_rounds: 0 } },
    environment: { COATCHECK_HOST_SLOTS: '4' },
  });
  const begin = (title: string, files: NonNullable<IssueOptions['files']>): void => {
    const outcome = way.runIssue({ title, files });
    outcome.catch(() => {}); // whoever awaits it hears of it
    outcomes.set(title, outcome);
  };
  begin('case-wild', configured({ test: Object.keys(WILD) }));
  for (const [title, { commands }] of Object.entries(FAILING)) begin(title, configured(commands));
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
