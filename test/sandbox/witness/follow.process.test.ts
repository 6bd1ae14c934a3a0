import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { KernelSight } from '../../../src/sandbox/sandbox.ts';
import { followLog } from '../../../src/sandbox/witness/follow.ts';
import { Marks } from '../../../src/sandbox/witness/marks.ts';
import { openWitness } from '../../../src/sandbox/witness/open-witness.ts';
import { sweepLogs } from '../../../src/sandbox/witness/sweep-logs.ts';
import { RUNTIME_ARGS } from '../../../src/setup/daemon-json.mjs';

function folder(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'coatcheck-witness-'));
  t.after(() => rmSync(made, { recursive: true }));
  return made;
}

const started = (argv: string) => `${JSON.stringify({ msg: `kernel.go:1043] EXEC: [${argv}]`, level: 'info', time: '' })}\n`;

/** A follower of a file that the test writes. */
async function follow(t: TestContext, change: { quota?: number } = {}) {
  const file = join(folder(t), 'log.json');
  writeFileSync(file, started('init'));
  const lost: string[] = [];
  const { promise: first, resolve } = Promise.withResolvers<KernelSight>();
  const log = await open(file, 'r');
  const follower = followLog(log, { marks: new Marks(), onKernel: resolve, onLost: (why) => lost.push(why), ...change });
  t.after(() => follower.end());
  return { file, follower, first, lost };
}

test('a log is followed while it grows, and read to its end after it', async (t) => {
  const { file, follower, first, lost } = await follow(t);
  appendFileSync(file, started('live').slice(0, 20));
  appendFileSync(file, started('live').slice(20));
  assert.deepEqual(await first, { seen: 'process', pid: 0, parent: null, command: null, executable: 'live', argv: ['live'] });
  appendFileSync(file, started('last'));
  follower.end();
  const { strangers, logBytes, incomplete } = await follower.summary;
  assert.deepEqual([strangers, logBytes, incomplete, lost], [2, statSync(file).size, null, []]);
});

test('the disk that the log has used is given back while its writer goes on where it was', async (t) => {
  const { file, follower, first } = await follow(t);
  const writer = openSync(file, 'a');
  t.after(() => closeSync(writer));
  appendFileSync(writer, `${'x'.repeat(9 * 1024 * 1024)}\n`);
  appendFileSync(writer, started('after'));
  await first;
  follower.end();
  const { logBytes, incomplete } = await follower.summary;
  const { size, blocks } = statSync(file);
  assert.deepEqual([logBytes, incomplete], [size, null]);
  assert.ok(size > 9 * 1024 * 1024);
  assert.ok(blocks * 512 < 5 * 1024 * 1024, `${blocks * 512} bytes are kept`);
});

test('a log beyond its quota is lost, and the totals say so', async (t) => {
  const { file, follower, first, lost } = await follow(t, { quota: 100_000 });
  appendFileSync(file, `${'x'.repeat(200_000)}\n${started('after')}`);
  await first;
  follower.end();
  assert.match((await follower.summary).incomplete ?? '', /outgrew its quota: \d+ bytes .* 100000 are allowed/);
  assert.equal(lost.length, 1);
});

test('logs that nobody writes any more are removed; what a living sandbox writes, and what is new, stays', async (t) => {
  const directory = `${folder(t)}/`;
  const [used, unused, fresh] = ['used', 'unused', 'fresh'].map((name) => join(directory, name));
  assert.ok(used && unused && fresh);
  for (const file of [used, unused, fresh]) writeFileSync(file, '');
  for (const file of [used, unused]) utimesSync(file, 0, 0);
  const descriptor = openSync(used, 'a');
  const argv = ['-c', 'echo up; read line', 'runsc-sandbox', ...RUNTIME_ARGS, '--debug-log-fd=3', 'boot', 'id'];
  const writer = spawn('/bin/sh', argv, { stdio: ['pipe', 'pipe', 'ignore', descriptor] });
  t.after(() => void writer.kill());
  closeSync(descriptor);
  assert.ok(writer.stdout !== null);
  await once(writer.stdout, 'data');

  assert.deepEqual(await sweepLogs(directory), ['unused']);
  assert.deepEqual(
    [used, unused, fresh].map((file) => existsSync(file)),
    [true, false, true],
  );
  writer.kill();
  await once(writer, 'exit');
  assert.deepEqual(await sweepLogs(directory), ['used']);
});

test('a sandbox without a log is refused where the policy asks for a witness, and only there', async () => {
  const onKernel = () => {};
  const wanted = openWitness(process.pid, 'id', { capabilities: ['kernel_witness'], onKernel });
  await assert.rejects(wanted, { code: 'sandbox_unavailable', next: /npm run setup/ });
  assert.equal((await openWitness(process.pid, 'id', { capabilities: [], onKernel })).log, null);
});
