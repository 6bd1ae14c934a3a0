import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { CAGE_UID } from '../../src/cage/arguments.ts';
import { NODE_CODE_RANGE_BYTES } from '../../src/cage/cage.ts';
import { giveToCage, type RunInCageOptions, runInCage } from '../../src/cage/run-in-cage.ts';

const MiB = 1024 * 1024;
const node = process.execPath;

const options = (command: readonly string[], change: Partial<RunInCageOptions> = {}): RunInCageOptions => ({
  command,
  readOnly: [],
  writable: [],
  cwd: '/tmp',
  env: {},
  network: 'none',
  memoryBytes: 256 * MiB,
  fileBytes: MiB,
  cpuSeconds: 30,
  signal: new AbortController().signal,
  outputLimit: 256 * 1024,
  timeoutMs: 20_000,
  ...change,
});
const inCage = (script: string, change: Partial<RunInCageOptions> = {}) => runInCage(options(['/bin/sh', '-c', script], change));
const unguarded = async (script: string) => (await promisify(execFile)('/bin/sh', ['-c', script])).stdout;

function temporary(t: { after(f: () => void): void }): string {
  const directory = mkdtempSync(join(tmpdir(), 'coatcheck-cage-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

test('the command runs as the unprivileged user with no capability and an empty environment', async () => {
  const probe = 'id -u; id -g; grep -E "^(CapEff|CapBnd|NoNewPrivs)" /proc/self/status; echo "secret=$CANARY"';
  const result = await inCage(probe);
  assert.equal(result.ended, 'exited', result.stderr);
  const lines = result.stdout.toString().split('\n');
  assert.deepEqual(lines.slice(0, 2), [String(CAGE_UID), String(CAGE_UID)]);
  assert.match(result.stdout.toString(), /CapEff:\s+0{16}\nCapBnd:\s+0{16}\nNoNewPrivs:\s+1/);
  assert.match(result.stdout.toString(), /secret=\n/);
  const given = await inCage('echo "secret=$CANARY"', { env: { CANARY: 'given' } });
  assert.match(given.stdout.toString(), /secret=given/);
});

test("nothing of the host is seen: the Docker socket, the home of root, the caller's own directories", async (t) => {
  const data = temporary(t);
  writeFileSync(join(data, 'canary'), 'canary', { mode: 0o644 });
  const socket = join(data, 'docker.sock');
  const server = createServer().listen(socket);
  t.after(() => server.close());
  await once(server, 'listening');
  const places = [socket, join(data, 'canary'), '/root', '/etc/shadow', '/var', '/run', '/home', '/sys'];
  const probe = places.map((place) => `test -e ${place} && echo seen ${place}`).join('; ');
  assert.equal((await unguarded(`${probe}; true`)).split('\n').length - 1, places.length, 'the host sees them all');
  assert.equal((await inCage(`${probe}; echo end`)).stdout.toString(), 'end\n');
  chmodSync(data, 0o755);
  const shown = await inCage(`cat ${data}/canary; echo x > ${data}/canary`, { readOnly: [data] });
  assert.equal(shown.stdout.toString(), 'canary');
  assert.match(shown.stderr, /Read-only file system/);
});

test("other processes are invisible, and only the cage's own loopback is there", async (t) => {
  const sleeper = spawn('/bin/sleep', ['600']);
  t.after(() => sleeper.kill('SIGKILL'));
  const probe =
    'for p in /proc/[0-9]*; do tr "\\0" " " < $p/cmdline; echo; done 2>/dev/null; sed -n "3,\\$s/:.*//p" /proc/net/dev';
  const outside = await unguarded(probe);
  assert.match(outside, /sleep 600/);
  const inside = (await inCage(probe)).stdout.toString();
  assert.doesNotMatch(inside, /sleep 600/);
  assert.deepEqual(inside.trim().split('\n').at(-1)?.trim(), 'lo');
  const shared = (await inCage('cat /proc/net/dev', { network: 'host' })).stdout.toString();
  assert.equal(shared.split('\n').length, (await unguarded('cat /proc/net/dev')).split('\n').length);
});

test('a writable directory given to the cage takes files, and no file grows over its cap', async (t) => {
  const directory = temporary(t);
  const refused = await inCage(`echo x > ${directory}/a`, { writable: [directory] });
  assert.match(refused.stderr, /Permission denied/, 'not handed over yet');
  giveToCage(directory);
  const result = await inCage(`echo x > ${directory}/a; head -c 3000000 /dev/zero > ${directory}/b`, { writable: [directory] });
  assert.ok(existsSync(join(directory, 'a')), result.stderr);
  assert.equal(statSync(join(directory, 'b')).size, MiB);
});

test('memory hogs are ended: buffers, a growing heap, a plain program; a modest one is not', async () => {
  const memoryBytes = 128 * MiB + NODE_CODE_RANGE_BYTES;
  const script = (body: string) =>
    runInCage(options([node, '--max-old-space-size=128', '-e', body], { memoryBytes, readOnly: [node] }));
  const modest = await script('console.log(Buffer.alloc(16 << 20, 1).length)');
  assert.equal(modest.stdout.toString(), `${16 * MiB}\n`, modest.stderr);
  const hog = 'const a=[];for(let n=8;n<=2048;n+=8){a.push(Buffer.alloc(8<<20,1));console.log(n)}';
  const buffers = await script(hog);
  assert.notEqual(buffers.exitCode, 0);
  const reached = Number(buffers.stdout.toString().trim().split('\n').at(-1));
  assert.ok(reached >= 8 && reached <= 160, `reached ${reached} MiB`);
  assert.notEqual((await script('const a=[];for(;;)a.push({a:1,b:[1,2,3]})')).exitCode, 0);
  const awk = `awk 'BEGIN{s="x";for(i=0;i<29;i++)s=s s;print length(s)}'`;
  const unlimited = await inCage(awk, { memoryBytes: 4096 * MiB });
  assert.equal(unlimited.stdout.toString(), `${2 ** 29}\n`);
  assert.notEqual((await inCage(awk)).exitCode, 0);
});

test('processor time, wall time, output and the caller each end a command', async () => {
  const spin = 'while :; do :; done';
  const cpu = await inCage(spin, { cpuSeconds: 1 });
  assert.equal(cpu.ended, 'killed');
  assert.equal((await inCage(spin, { timeoutMs: 300 })).ended, 'timed_out');
  const flood = await inCage('yes', { outputLimit: 1000 });
  assert.equal(flood.ended, 'output_limit');
  assert.equal(flood.stdout.length, 1000);
  const stop = new AbortController();
  const running = inCage('sleep 60', { signal: stop.signal });
  setImmediate(() => stop.abort());
  assert.equal((await running).ended, 'aborted');
  assert.deepEqual(
    { ...(await inCage('exit 7')), stdout: '' },
    { ended: 'exited', exitCode: 7, signal: null, stdout: '', stderr: '' },
  );
});

test('stdin reaches the command whole', async () => {
  const result = await inCage('sha256sum', { stdin: Buffer.from('abc') });
  assert.match(result.stdout.toString(), /^ba7816bf/);
});

test('a cage dies with the process that made it', async (t) => {
  const directory = temporary(t);
  giveToCage(directory);
  const fifo = join(directory, 'alive');
  await promisify(execFile)('/usr/bin/mkfifo', ['-m', '0666', fifo]);
  const program = `
    import { startCage } from ${JSON.stringify(new URL('../../src/cage/start-cage.ts', import.meta.url).href)};
    const directory = ${JSON.stringify(directory)};
    startCage({ command: ['/bin/sh', '-c', 'exec > ' + directory + '/alive; echo up; sleep 600'], readOnly: [], writable: [directory],
      cwd: '/tmp', env: {}, network: 'none', memoryBytes: 1e9, fileBytes: 1e6, cpuSeconds: 9, signal: new AbortController().signal,
      stdio: ['ignore', 'ignore', 'inherit'] });`;
  const parent = spawn(node, ['--input-type=module', '-e', program], { stdio: ['ignore', 'ignore', 'inherit'] });
  t.after(() => parent.kill('SIGKILL'));
  // The reader sees "up" from inside, and end of file only once the last process in the cage is gone.
  const reader = spawn('/bin/cat', [fifo], { timeout: 20_000 });
  const [first] = await once(reader.stdout, 'data');
  assert.equal(String(first), 'up\n');
  parent.kill('SIGKILL');
  const [code] = await once(reader, 'exit');
  assert.equal(code, 0, 'end of file arrived before the bound');
});
