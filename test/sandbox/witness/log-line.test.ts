import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { unquoted } from '../../../src/sandbox/witness/go-quoted.ts';
import { readLine } from '../../../src/sandbox/witness/log-line.ts';

/** A real log of that runsc, its environments but for our mark taken out. */
const LOG = readFileSync(new URL('runsc-20240729.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n');
const READ = LOG.map(readLine).filter((line) => line !== null);

const HOSTILE = '/tmp/a\n{"msg":"x"}, 0x1 ["fake"], 0x2 []) = 0 (0x0) (1/p';

const ran = READ.flatMap((line) => (line.told === 'executed' ? [[line.by.pid, line.executable, line.argv?.map(unquoted)]] : []));

test('programs are told with their arguments as they were, whatever these look like', () => {
  const [echo] = ran.filter(([, executable]) => executable === '/bin/echo');
  assert.deepEqual(echo?.[2], [
    '/bin/echo',
    'a\n{"msg":"strace.go:605] [   2:   2] sh X vfork() = 9 (0x9) (1µs)"}',
    'quote" back\\ tab\t end',
    '\x01\ufffdé\x1b[31m ] [',
    '',
    '", "x',
  ]);
  assert.deepEqual(
    ran.filter(([pid]) => pid === 11),
    [[11, HOSTILE, [HOSTILE, 'hello']]],
  );
});

test('starts by every call and by threads are told, failed ones are not', () => {
  const trues = ran.flatMap(([, executable, argv]) => (executable === '/bin/true' ? [argv] : []));
  assert.deepEqual(trues, [
    ['true', 'from', 'thread'],
    ['true', 'spawned'],
    ['true', 'renamed'],
    ['true', 'renamed again'],
    ['viaexecveat'],
    ['/bin/true', 'inner'],
  ]);
  assert.equal(
    ran.some(([, executable]) => executable === '/nonexistent/prog'),
    false,
  );
  // The shell looked for it in the path's other folders first.
  assert.equal(
    ran.some(([, executable]) => executable === '/usr/local/sbin/bash'),
    false,
  );
});

test('a thread name that looks like a call does not pass for one', () => {
  const forks = READ.flatMap((line) => (line.told === 'forked' && line.by.pid === 13 ? [line.child] : []));
  assert.deepEqual(forks, [14, 15, 16, 17, 18, 19]);
});

test('processes in a PID namespace of their own are told by both ids', () => {
  const callers = READ.flatMap((line) => (line.told === 'executed' && line.by.inner !== null ? [line.by] : []));
  assert.deepEqual(callers, [
    { pid: 26, inner: 1 },
    { pid: 27, inner: 2 },
  ]);
});

test('what the kernel starts from outside and where connects go is told', () => {
  const started = READ.flatMap((line) => (line.told === 'started' ? [line.argv.slice(0, 30)] : []));
  assert.deepEqual(started, [
    'sleep 1000',
    '/bin/sh -c exec 3<&0; setsid "',
    'sleep 0.05',
    '/bin/sh -c /bin/echo forged; t',
    '/bin/sh -c exec 3<&0; setsid "',
  ]);
  const connects = READ.flatMap((line) => (line.told === 'connected' && line.by.pid === 13 ? [[line.to, line.result]] : []));
  assert.deepEqual(connects, [
    ['127.0.0.1:3128', 'connection refused'],
    ['[::1]:80', 'connection refused'],
    ['unix:(not told)', 'no such file or directory'],
  ]);
});

test('a newer runtime that tells the paths of Unix sockets is understood', () => {
  const msg = (addr: string) =>
    `strace.go:605] [   3:   3] curl X connect(0x4 socket:[1], 0x7ec8 {Family: AF_UNIX, Addr: ${addr}}, 0x6e) = 0 (0x0) (1.5µs)`;
  const to = (addr: string) => {
    const line = readLine(JSON.stringify({ msg: msg(addr), level: 'info', time: '' }));
    return line?.told === 'connected' ? line.to : null;
  };
  assert.equal(to('"/run/coatcheck/door.sock"'), 'unix:/run/coatcheck/door.sock');
  assert.equal(to('"{Family: AF_INET, Addr: 1.2.3.4, Port: 80}, 0x10"'), 'unix:{Family: AF_INET, Addr: 1.2.3.4, Port: 80}, 0x10');
});

test('a loss that the runtime admits is told, and nothing that is no line of the log is taken for one', () => {
  assert.deepEqual(readLine('*** Dropped 12 log messages ***'), { told: 'dropped', lines: 12 });
  fc.assert(fc.property(fc.string(), (text) => readLine(text) === null));
  const msg = 'strace.go:605] [ 3: 3] sh X vfork() = 9 (0x9) (1µs)';
  assert.equal(readLine(JSON.stringify({ msg, level: 'info', time: '' }))?.told, 'forked');
  for (const not of [` ${msg}`, `kernel.go:1] ${msg}`, msg.replace(' X ', ' E '), `${msg} `]) {
    assert.equal(readLine(JSON.stringify({ msg: not, level: 'info', time: '' })), null);
  }
});
