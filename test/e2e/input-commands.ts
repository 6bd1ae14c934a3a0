/** Commands that a repository may declare and that do not behave, and what has to become of them. */
import assert from 'node:assert/strict';
import { stringify } from 'yaml';
import type { EventOf, IssueOptions } from './way.ts';

type Result = EventOf<'command.ran'>['result'];

/** Each wild command, and how it has to look in every phase. */
export const WILD: Readonly<Record<string, (result: Result) => void>> = {
  'test -s a.txt': (result) => assert.equal(result.exitCode, 0),
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
  command: '2 s',
  processes: 64,
  memory: '512 MiB',
  work_disk: '48 MiB',
  tmp_disk: '32 MiB',
  command_output: '16 KiB',
};

export const configured = (commands: object): NonNullable<IssueOptions['files']> => ({
  'a.txt': 'a\n',
  '.github/coatcheck.yml': stringify({ commands, limits: LIMITS }, { lineWidth: 0 }),
});

export const FAILING: Readonly<Record<string, { commands: object; reason: string; says: RegExp }>> = {
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
    says: /was stopped after \d+ s on the base.*downloading the internet/s,
  },
  'case-full': {
    commands: { test: 'cat /dev/zero >/tmp/filler' },
    reason: 'change_unreadable',
    says: /No space left on device/,
  },
};
