import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { KernelSight } from '../../../src/sandbox/sandbox.ts';
import { Account } from '../../../src/sandbox/witness/account.ts';
import { Marks, markArgument } from '../../../src/sandbox/witness/marks.ts';

const LOG = readFileSync(new URL('runsc-20240729.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n');
const line = (msg: string) => JSON.stringify({ msg, level: 'info', time: '2026-01-01T00:00:00Z' });

const started = (argv: string) => line(`kernel.go:1043] EXEC: [${argv}]`);
const forked = (pid: number, child: number) => line(`strace.go:596] [${pid}:${pid}] sh X vfork() = ${child} (0x1) (54.1µs)`);
const executed = (pid: number, argv: readonly string[], mark = '') => {
  const list = argv.map((one) => JSON.stringify(one)).join(', ');
  const environment = mark === '' ? '' : `"COATCHECK_COMMAND=${mark}"`;
  return line(
    `strace.go:605] [${pid}:${pid}] sh X execve(0x10000 ${argv[0]}, 0x1 [${list}], 0x2 [${environment}]) = 0 (0x0) (5µs)`,
  );
};
const connected = (pid: number, port: number) =>
  line(
    `strace.go:605] [${pid}:${pid}] sh X connect(0x4 socket:[1], 0x7 {Family: AF_INET, Addr: 127.0.0.1, Port: ${port}}, 0x10) = 0 (0x0) (5µs)`,
  );

function open() {
  const marks = new Marks();
  const sights: KernelSight[] = [];
  const account = new Account(marks, (sight) => sights.push(sight));
  account.line(started('init'), 0);
  return { marks, sights, account };
}

/** `command` of each process seen, by its arguments. */
const commands = (sights: readonly KernelSight[]) =>
  sights.flatMap((sight) => (sight.seen === 'process' ? [[sight.argv.join(' '), sight.command]] : []));

test('the real log: what descends from a command is joined to it, what was put in from outside is not, by whatever mark', () => {
  const marks = new Marks();
  const sights: KernelSight[] = [];
  const account = new Account(marks, (sight) => sights.push(sight));
  const issued = new Map([
    ['00000000000000000000000000000001', marks.issue(1)],
    ['00000000000000000000000000000002', marks.issue(2)],
  ]);
  for (const text of LOG)
    account.line(
      text.replace(/0{31}[12]/g, (mark) => issued.get(mark) ?? ''),
      0,
    );
  const summary = account.summary(7, null);
  const strangers = commands(sights).filter(([, command]) => command === null);
  assert.deepEqual(
    strangers.map(([argv]) => String(argv).slice(0, 36)),
    ['sleep 0.05', '/bin/sh -c /bin/echo forged; true co', '/bin/echo forged'],
  );
  assert.equal(summary.strangers, 3);
  assert.equal(commands(sights).filter(([, command]) => command === 2).length, 3);
  assert.ok(commands(sights).some(([argv, command]) => argv === '/bin/echo orphan' && command === 1));
  assert.ok(commands(sights).some(([argv, command]) => argv === '/bin/true inner' && command === 1));
  assert.equal(summary.processes, sights.filter(({ seen }) => seen === 'process').length);
  assert.deepEqual([summary.incomplete, summary.logBytes], [null, 7]);
});

test('a child that speaks before its parent’s line, and a command that speaks before its mark, are joined all the same', () => {
  const { marks, sights, account } = open();
  const mark = marks.issue(4);
  account.line(started(`/bin/sh ${markArgument(mark)}`), 0);
  account.line(executed(12, ['grandchild']), 0);
  account.line(forked(10, 11), 0);
  account.line(executed(11, ['child'], mark), 1);
  account.line(forked(11, 12), 2);
  account.summary(0, null);
  assert.deepEqual(commands(sights), [
    ['child', 4],
    ['grandchild', 4],
  ]);
  assert.deepEqual(
    sights.map((sight) => (sight.seen === 'process' ? sight.parent : 0)),
    [10, 11],
  );
});

test('nobody’s child is told as such after a second, and its children with it', () => {
  const { sights, account } = open();
  account.line(executed(30, ['intruder']), 0);
  account.settle(999);
  assert.deepEqual(sights, []);
  account.settle(1000);
  account.line(forked(30, 31), 1001);
  account.line(executed(31, ['its child']), 1002);
  assert.deepEqual(commands(sights), [
    ['intruder', null],
    ['its child', null],
  ]);
  assert.equal(account.summary(0, null).strangers, 2);
});

test('a mark that somebody inside has read joins nothing: it counts once, after its start, in a tree that has no owner', () => {
  const { marks, sights, account } = open();
  const [first, second] = [marks.issue(1), marks.issue(2)];
  account.line(executed(5, ['too early'], first), 0);
  account.settle(1000);
  account.line(started(`/bin/sh ${markArgument(first)}`), 1000);
  account.line(executed(10, ['first'], first), 1000);
  account.line(started(`/bin/sh ${markArgument(second)}`), 1001);
  account.line(executed(10, ['thief'], second), 1001);
  account.line(executed(20, ['second'], second), 1002);
  account.line(started(`/bin/sh ${markArgument(second)}`), 1003);
  account.line(executed(40, ['again'], second), 1003);
  account.summary(0, null);
  assert.deepEqual(commands(sights), [
    ['too early', null],
    ['first', 1],
    ['thief', 1],
    ['second', 2],
    [`/bin/sh ${markArgument(second)}`, null],
    ['again', null],
  ]);
});

test('what is several PID namespaces deep is still of the inside', () => {
  const { marks, sights, account } = open();
  const mark = marks.issue(1);
  account.line(started(`sh ${markArgument(mark)}`), 0);
  account.line(executed(10, ['sh'], mark), 0);
  account.line(forked(10, 11), 0);
  const inside = (id: string, argv: readonly string[]) => executed(0, argv).replace('[0:0]', `[${id}:${id}]`);
  account.line(inside('11( 1)', ['deep']), 0);
  account.line(inside('12( 1)', ['deeper']), 0);
  account.line(executed(13, ['intruder']), 0);
  account.settle(1000);
  assert.deepEqual(commands(sights).slice(1), [
    ['deep', 1],
    ['deeper', 1],
    ['intruder', null],
  ]);
});

test('an id that is given out again belongs to the newer process', () => {
  const { marks, sights, account } = open();
  for (const [command, root] of [
    [1, 10],
    [2, 20],
  ] as const) {
    const mark = marks.issue(command);
    account.line(started(`sh ${markArgument(mark)}`), 0);
    account.line(executed(root, [`root ${command}`], mark), 0);
    account.line(forked(root, 11), 0);
    account.line(executed(11, [`child ${command}`]), 0);
  }
  assert.deepEqual(commands(sights).slice(2), [
    ['root 2', 2],
    ['child 2', 2],
  ]);
});

test('beyond 5,000 sights are counted, a stranger is still told, and the same connect is told once', () => {
  const { marks, sights, account } = open();
  const mark = marks.issue(1);
  account.line(started(`sh ${markArgument(mark)}`), 0);
  for (let port = 0; port < 300; port++) account.line(connected(10, 3128 + (port % 2)), 0);
  account.line(executed(10, ['sh'], mark), 0);
  for (let n = 0; n < 6000; n++) account.line(executed(10, ['true']), 0);
  account.line(started('intruder'), 0);
  const summary = account.summary(0, null);
  assert.deepEqual(summary, {
    processes: 6002,
    connects: 300,
    strangers: 1,
    notKept: 298 + 6001 - 4998,
    logBytes: 0,
    incomplete: null,
  });
  assert.equal(sights.length, 5001);
  assert.equal(commands(sights).at(-1)?.[1], null);
});

test('so much text is kept in all, however few the sights are', () => {
  const { marks, sights, account } = open();
  const mark = marks.issue(1);
  account.line(started(`sh ${markArgument(mark)}`), 0);
  account.line(executed(10, ['sh'], mark), 0);
  for (let n = 0; n < 1200; n++) account.line(executed(10, ['true', 'x'.repeat(1999)]), 0);
  const { processes, notKept } = account.summary(0, null);
  assert.equal(processes, 1201);
  assert.ok(sights.length > 900 && sights.length < 1000, String(sights.length));
  assert.equal(notKept, processes - sights.length);
});

test('arguments are cut with a mark; the environment is nowhere', () => {
  const { marks, sights, account } = open();
  const mark = marks.issue(1);
  account.line(started(`sh ${markArgument(mark)}`), 0);
  account.line(executed(10, ['sh', 'x'.repeat(100_000), 'last'], mark), 0);
  account.line(executed(10, ['many', ...Array.from({ length: 9000 }, () => 'yes')]), 0);
  const [long, many] = sights.flatMap((sight) => (sight.seen === 'process' ? [sight.argv] : []));
  assert.deepEqual(long, ['sh', `${'x'.repeat(2000)}[… cut …]`, 'last']);
  assert.match(many?.at(-1) ?? '', /^\[… \d+ arguments left out …\]$/);
  assert.ok((many ?? []).join('').length < 9000);
  assert.equal(JSON.stringify(sights).includes(mark), false);
});

test('lines that the runtime could not write make the account incomplete', () => {
  const { account } = open();
  account.line('*** Dropped 3 log messages ***', 0);
  assert.match(account.summary(0, null).incomplete ?? '', /3 lines/);
});
