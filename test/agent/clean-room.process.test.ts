import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { AgentEnded } from '../../src/agent/ended.ts';
import { type CleanRoomResult, cleanRoom } from '../../src/agent/verify/clean-room.ts';
import { combine } from '../../src/agent/verify/judge.ts';
import { runCommands, setUp } from '../../src/agent/verify/run-commands.ts';
import { HostEvent } from '../../src/audit/events.ts';
import { DEFAULT_YARDSTICK } from '../../src/policy/yardstick.ts';
import type { DeclaredCommand, Verdict } from '../../src/task/verification.ts';
import { declare, type Files, repository } from './repository.ts';

/** The commands run a script that package.json names, without a package manager. */
const RUN_SCRIPT = `bash -c "$(python3 -c 'import json; print(json.load(open("package.json"))["scripts"]["test"])')"`;
const manifest = (script: string, rest: object = {}) => JSON.stringify({ scripts: { test: script }, ...rest });
const BASE: Files = {
  'package.json': manifest('bash test/all.sh'),
  'test/all.sh': 'for f in test/case-*.sh; do bash $f || exit 1; done',
  'test/case-1.sh': 'grep -q good src',
  src: 'bad',
};
const COMMANDS = [declare('install', 'echo installed >> .git/installs'), declare('test', RUN_SCRIPT)];

/** Baseline, clean room and yardstick in a sandbox each, as a host composes them. */
async function verdictOn(
  t: TestContext,
  change: Files,
  base: Files = BASE,
  commands: readonly DeclaredCommand[] = COMMANDS,
): Promise<{ verdict: Verdict; own: CleanRoomResult; edits: string[]; doors: string[] }> {
  const first = await repository(t, base);
  const baseline = await runCommands(first.context, commands, 'baseline');
  const doors: string[] = [];
  const room = async (measure: 'own' | 'base') => {
    const repo = await repository(t, base);
    const head = repo.commit(change);
    const result = await cleanRoom(repo.context, {
      base: repo.base,
      commands,
      measure,
      yardstick: DEFAULT_YARDSTICK,
      openForSetup: async () => void doors.push('open'),
      shut: async () => void doors.push('shut'),
      applyChange: async () => repo.apply(head),
    });
    for (const event of repo.events) HostEvent.parse(event);
    return result;
  };
  const own = await room('own');
  const based = own.touchesYardstick ? await room('base') : null;
  const yardstick = based && based.yardstickEdits.length > 0 ? based.results : null;
  return { verdict: combine({ baseline, cleanRoom: own.results, yardstick }), own, edits: based?.yardstickEdits ?? [], doors };
}

test('a real fix passes', async (t) => {
  const { verdict, own, doors } = await verdictOn(t, { src: 'good' });
  assert.deepEqual(verdict, { kind: 'passed' });
  assert.match(own.tree, /^[0-9a-f]{40}$/);
  assert.deepEqual(doors, ['open', 'shut']);
});

test('a script rewritten to exit 0 passes only by its own yardstick', async (t) => {
  const { verdict, edits } = await verdictOn(t, { 'package.json': manifest('exit 0') });
  assert.deepEqual(verdict, { kind: 'own_yardstick_only', commands: [RUN_SCRIPT] });
  assert.deepEqual(edits, ['package.json']);
});

test('a deleted, skipped or weakened test passes only by its own yardstick', async (t) => {
  for (const change of [
    { 'test/case-1.sh': 'exit 0' },
    { 'test/case-1.sh': null, 'test/case-2.sh': 'true' },
    { 'test/all.sh': 'exit 0' },
  ]) {
    assert.equal((await verdictOn(t, change)).verdict.kind, 'own_yardstick_only', JSON.stringify(change));
  }
});

test('a real fix that also edits a script or a test is measured by the base’s, and passes', async (t) => {
  const { verdict, edits } = await verdictOn(t, { src: 'good', 'package.json': manifest('exit 0'), 'test/case-1.sh': 'exit 0' });
  assert.deepEqual(verdict, { kind: 'passed' });
  assert.deepEqual(edits, ['package.json', 'test/case-1.sh']);
});

test('an added test and an added dependency alone keep nobody from ready, and dependencies are installed again', async (t) => {
  const { verdict, edits, doors } = await verdictOn(t, {
    src: 'good',
    'test/case-2.sh': 'grep -q go src',
    'package.json': manifest('bash test/all.sh', { dependencies: { left: '1' } }),
  });
  assert.deepEqual(verdict, { kind: 'passed' });
  assert.deepEqual(edits, []);
  assert.deepEqual(doors, ['open', 'shut', 'open', 'shut', 'open', 'shut']);
});

test('an added test that fails is held against the change', async (t) => {
  assert.equal(
    (await verdictOn(t, { src: 'good', 'test/case-2.sh': 'exit 1' }, { ...BASE, src: 'good' })).verdict.kind,
    'failed',
  );
});

test('a change that cannot be installed fails, and nothing else of it runs', async (t) => {
  const commands = [declare('install', '! grep -q missing package.json'), declare('test', RUN_SCRIPT)];
  const { verdict, own } = await verdictOn(
    t,
    { 'package.json': manifest('true', { dependencies: { missing: '1' } }) },
    { ...BASE, src: 'good' },
    commands,
  );
  assert.deepEqual(verdict, { kind: 'failed', commands: ['! grep -q missing package.json'] });
  assert.deepEqual(
    own.results.map((result) => result.kind),
    ['install'],
  );
});

test('set-up that fails on the base ends the attempt, saying how', async (t) => {
  const { context } = await repository(t, BASE);
  const failing = setUp(context, [declare('install', 'echo no such package; exit 4'), declare('install', 'touch second')]);
  await assert.rejects(failing, (thrown) => {
    assert.ok(thrown instanceof AgentEnded);
    assert.equal(thrown.reason, 'setup_failed');
    assert.match(thrown.message, /exit code 4 on the base: no such package/);
    return true;
  });
});

test('commands run in the order build, test, lint; hangs and floods are results; the death of the sandbox ends the run', async (t) => {
  const { context, events, sandbox } = await repository(t, BASE);
  const commands = [
    declare('lint', 'exit 2'),
    declare('test', 'echo 🦊; sleep 100'),
    declare('build', "head -c 5000000 /dev/zero | tr '\\0' x; echo end"),
    declare('install', 'false'),
  ];
  const results = await runCommands({ ...context, limits: { ...context.limits, commandMs: 1000 } }, commands, 'verify');
  assert.deepEqual(
    results.map((one) => [one.kind, one.end, one.exitCode, one.truncated]),
    [
      ['build', 'exited', 0, true],
      ['test', 'timed_out', null, false],
      ['lint', 'exited', 2, false],
    ],
  );
  assert.ok(results.every((one) => one.outputTail.length <= 8000));
  assert.equal(results[1]?.outputTail, '🦊\n');
  for (const event of events) HostEvent.parse(event);
  const live = events.flatMap((event) => (event.type === 'output' ? [event.text] : [])).join('');
  assert.ok(live.includes('🦊') && live.length < 70_000);

  sandbox.die('killed');
  const dead = await runCommands(context, commands, 'verify');
  assert.deepEqual(
    dead.map((one) => one.end),
    ['sandbox_died'],
  );
});

test('an abort ends a command with its own reason', async (t) => {
  const { context } = await repository(t, BASE);
  const controller = new AbortController();
  const reason = new Error('stopped');
  const emit = (event: HostEvent) => {
    if (event.type === 'output') controller.abort(reason);
  };
  await assert.rejects(
    runCommands({ ...context, emit, signal: controller.signal }, [declare('test', 'echo go; sleep 100')], 'verify'),
    reason,
  );
});
