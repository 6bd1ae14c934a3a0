import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostEvent } from '../../src/audit/events.ts';
import { kernelAccount, kernelSection, kernelWarning, kernelWords, numbered } from '../../src/audit/kernel-account.ts';

type Saw = Extract<HostEvent, { type: 'kernel.saw' }>;

const ran = (command: number | null, ...argv: string[]): Saw['processes'][number] => ({
  pid: 9,
  parent: 1,
  command,
  executable: `/usr/bin/${argv[0]}`,
  argv,
});
const saw = (...processes: Saw['processes']): HostEvent => ({
  type: 'kernel.saw',
  sandbox: 's',
  processes,
  connects: [{ pid: 9, command: 1, to: '127.0.0.1:3128', result: 'connected' }],
});
const summary = (strangers: number, incomplete: string | null = null): HostEvent => ({
  type: 'kernel.summary',
  sandbox: 's',
  ...{ processes: 5, connects: 2, strangers, notKept: 0, logBytes: 100, incomplete },
});
const account = (...events: HostEvent[]) => kernelAccount(events.map((event) => ({ event })));

test('commands are told with their first program and where they connected, each place once', () => {
  const found = account(
    saw(ran(0, 'dmesg'), ran(1, 'setsid', 'make'), ran(1, 'make')),
    saw(ran(1, 'gcc', 'a.c'), ran(2, 'ls')),
    summary(0),
  );
  assert.ok(found);
  assert.deepEqual(numbered(found), [
    { purpose: 'unknown', command: 1, first: 'make', processes: 3, places: ['127.0.0.1:3128'] },
    { purpose: 'unknown', command: 2, first: 'ls', processes: 1, places: [] },
  ]);
  assert.equal(
    kernelWords(found),
    'The kernels of the sandboxes saw 5 programs run, for 2 commands, and 2 connects. Every one descends from a recorded command.',
  );
  assert.equal(kernelWarning(found), '');
});

test('what descends from no command is listed and warned of, as code', () => {
  const found = account(saw(ran(null, '@everyone', '<img>')), summary(3));
  assert.ok(found);
  assert.match(kernelSection(found), /3 of them descend from no recorded command\.\n\n- ` @everyone <img> `\n- and 2 more$/);
  assert.match(kernelWarning(found), /^> \[!WARNING\]\n> .*3 of them/);
});

test('an account that is not whole is warned of; without a kernel there is none', () => {
  assert.match(kernelWarning(account(summary(0, 'the log was lost'))), /not whole: ` the log was lost `/);
  assert.equal(account({ type: 'plan', text: 'x' }), null);
  assert.equal(kernelWarning(null), '');
});

test('before the totals come, what was told so far counts', () => {
  const found = account(saw(ran(1, 'make'), ran(null, 'intruder')), saw(ran(1, 'gcc')));
  assert.ok(found);
  assert.deepEqual([found.sandboxes, found.processes, found.connects, found.strangers], [1, 3, 2, 1]);
});
