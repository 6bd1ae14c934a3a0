import assert from 'node:assert/strict';
import { test } from 'node:test';
import { feedbackFor, wantsAnotherRound } from '../../src/agent/verify/feedback.ts';
import { combine, judge, redOnBase } from '../../src/agent/verify/judge.ts';
import { type CommandEnd, type CommandKind, CommandResult, type Verdict } from '../../src/task/verification.ts';

/** g green, r red, t timed out, d died, a aborted. */
type Mark = 'g' | 'r' | 't' | 'd' | 'a';
const ENDS: Record<Mark, [CommandEnd, number | null]> = {
  g: ['exited', 0],
  r: ['exited', 1],
  t: ['timed_out', null],
  d: ['sandbox_died', null],
  a: ['aborted', null],
};
const results = (marks: Partial<Record<CommandKind, Mark>>): CommandResult[] =>
  (['install', 'build', 'test', 'lint'] as const).flatMap((kind) => {
    const mark = marks[kind];
    if (mark === undefined) return [];
    const [end, exitCode] = ENDS[mark];
    return [
      CommandResult.parse({
        phase: 'verify',
        kind,
        command: `run ${kind}`,
        end,
        exitCode,
        ms: 1,
        outputDigest: '',
        outputTail: '',
        truncated: false,
      }),
    ];
  });
const short = (verdict: Verdict): string =>
  'commands' in verdict ? `${verdict.kind} ${verdict.commands.join(',')}` : verdict.kind;

test('judge: every pair of what one test command did before and after', () => {
  const table: Record<string, string> = {
    gg: 'passed',
    gr: 'failed run test',
    gt: 'failed run test',
    rg: 'passed',
    rr: 'unjudged',
    rt: 'unjudged',
    tg: 'passed',
    tt: 'unjudged',
    tr: 'unjudged',
  };
  for (const before of 'grtda') {
    for (const after of 'grtda') {
      const expected = table[before + after] ?? 'unjudged';
      assert.equal(short(judge(results({ test: before as Mark }), results({ test: after as Mark }))), expected, before + after);
    }
  }
});

test('judge: a lint that was red dooms nobody, tests that stay red prove nothing', () => {
  assert.equal(short(judge(results({ test: 'g', lint: 'r' }), results({ test: 'g', lint: 'r' }))), 'passed');
  assert.equal(short(judge(results({ test: 'r', lint: 'r' }), results({ test: 'g', lint: 'r' }))), 'passed');
  assert.equal(short(judge(results({ test: 'r', lint: 'g' }), results({ test: 'r', lint: 'g' }))), 'unjudged');
  assert.equal(short(judge(results({ test: 'g', lint: 'g' }), results({ test: 'g', lint: 'r' }))), 'failed run lint');
  assert.equal(short(judge(results({ build: 'g', lint: 'r' }), results({ build: 'g', lint: 'r' }))), 'passed');
  assert.equal(short(judge(results({ lint: 'r' }), results({ lint: 'r' }))), 'unjudged');
  assert.deepEqual(redOnBase(results({ test: 'g', lint: 'r', build: 't' })), ['run build', 'run lint']);
});

test('judge: nothing to verify, missing runs, install, and failures beside what broke', () => {
  assert.equal(short(judge([], [])), 'nothing_to_verify');
  assert.equal(short(judge([], results({ install: 'g' }))), 'nothing_to_verify');
  assert.equal(short(judge(results({ test: 'g' }), [])), 'unjudged');
  assert.equal(short(judge(results({ test: 'g' }), results({ install: 'r' }))), 'failed run install');
  assert.equal(short(judge([], results({ test: 'r' }))), 'failed run test');
  assert.equal(short(judge(results({ build: 'g', test: 'g' }), results({ build: 'r', test: 'd' }))), 'failed run build');
});

test('combine: a change must pass by its own yardstick and by the base’s', () => {
  const green = results({ test: 'g', lint: 'g' });
  const of = (baseline: CommandResult[], cleanRoom: CommandResult[], yardstick: CommandResult[] | null) =>
    short(combine({ baseline, cleanRoom, yardstick }));
  assert.equal(of(green, green, null), 'passed');
  assert.equal(of(green, green, green), 'passed');
  assert.equal(of(green, green, results({ test: 'r', lint: 'g' })), 'own_yardstick_only run test');
  assert.equal(of(green, green, results({ test: 't', lint: 'g' })), 'own_yardstick_only run test');
  assert.equal(of(green, results({ test: 'r', lint: 'g' }), green), 'failed run test');
  assert.equal(of(green, green, results({ test: 'g', lint: 'd' })), 'unjudged');
  assert.equal(of(green, green, results({ test: 'a' })), 'unjudged');
  assert.equal(of(green, green, results({ install: 'r' })), 'own_yardstick_only run install');
  assert.equal(of([], [], null), 'nothing_to_verify');
  // The test was red on the base, and the agent rewrote it rather than mend the code: its own green does not count.
  const red = results({ test: 'r', lint: 'g' });
  assert.equal(of(red, green, red), 'own_yardstick_only run test');
  assert.equal(of(red, green, green), 'passed');
  // A lint that is red everywhere is held against nobody here either.
  const lintRed = results({ test: 'g', lint: 'r' });
  assert.equal(of(lintRed, lintRed, lintRed), 'passed');
});

test('feedback: everything red, what the change broke first', () => {
  const feedback = feedbackFor(results({ build: 'r', test: 'g', lint: 'r' }), results({ build: 'r', test: 't', lint: 'g' }));
  assert.deepEqual(
    feedback.map((one) => [one.result.kind, one.redOnBase]),
    [
      ['test', false],
      ['build', true],
    ],
  );
});

test('another round: for what the change broke and for tests that stay red, not for what broke off', () => {
  const round = (before: Mark, after: Mark) => wantsAnotherRound(results({ test: before }), results({ test: after }));
  assert.deepEqual([round('g', 'r'), round('r', 'r'), round('r', 't')], [true, true, true]);
  assert.deepEqual([round('g', 'g'), round('r', 'g'), round('g', 'd'), round('g', 'a')], [false, false, false, false]);
  assert.equal(wantsAnotherRound(results({ test: 'g', lint: 'r' }), results({ test: 'g', lint: 'r' })), false);
  assert.equal(wantsAnotherRound([], []), false);
});
