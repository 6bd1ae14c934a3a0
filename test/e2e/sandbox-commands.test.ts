import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { before, describe, test } from 'node:test';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { agentProcesses, MiB, never, realDriver, sh, spec } from './real-sandbox.ts';

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** A daemon that has left its session, ignores polite signals and has other ends of its output. */
const DAEMON = 'setsid bash -c "trap : TERM HUP INT; while :; do sleep 1; done" >/dev/null 2>&1 </dev/null &';

describe('running commands in a sandbox', () => {
  const driver = realDriver({ outputBudget: 64 * MiB });
  let sandbox: Sandbox;
  before(async () => {
    sandbox = await driver.create(spec(), never);
  });

  test('exit code, both outputs, folder and environment are as asked for', async () => {
    const result = await sh(sandbox, 'echo out; echo err >&2; pwd; echo $GREETING; exit 7', {
      cwd: '/tmp',
      env: { GREETING: 'hi' },
    });
    assert.deepEqual([result.end, result.exitCode, result.truncated], ['exited', 7, false]);
    assert.equal(result.stdout.toString(), 'out\n/tmp\nhi\n');
    assert.equal(result.stderr.toString(), 'err\n');
    assert.equal((await sh(sandbox, 'pwd')).output, '/work/repo\n');
  });

  test('a program or folder that is missing fails like in a shell', async () => {
    const none = { timeoutMs: 10_000, outputLimit: 1000, signal: never };
    assert.equal((await sandbox.exec({ ...none, command: ['no-such-program'] })).exitCode, 127);
    assert.equal((await sandbox.exec({ ...none, command: ['true'], cwd: '/no/such/folder' })).exitCode, 126);
  });

  test('50 MB of binary data go in and come out unchanged', async () => {
    const sent = randomBytes(50 * MiB);
    const { stdout, done } = sandbox.stream({ command: ['cat'], stdin: Readable.from([sent]), timeoutMs: 60_000, signal: never });
    const got: Buffer[] = [];
    for await (const chunk of stdout) got.push(chunk);
    const result = await done;
    assert.deepEqual([result.end, result.exitCode], ['exited', 0]);
    assert.equal(sha256(Buffer.concat(got)), sha256(sent));
    assert.equal(result.outputDigest, sha256(sent));
  });

  test('a reader that leaves a stream ends its command', { timeout: 20_000 }, async () => {
    const { stdout, done } = sandbox.stream({ command: ['yes'], timeoutMs: 60_000, signal: never });
    await once(stdout, 'data');
    stdout.destroy();
    assert.equal((await done).end, 'aborted');
  });

  test('output beyond the limit is counted and digested, not kept', async () => {
    let live = 0;
    const onOutput = (chunk: Buffer) => {
      live += chunk.length;
    };
    const result = await sh(sandbox, 'head -c 3000000 /dev/zero | tr "\\0" x; echo; echo the end', {
      outputLimit: 1000,
      onOutput,
    });
    assert.equal(result.truncated, true);
    assert.equal(live, 1000);
    assert.equal(result.stdout.length, 1000);
    assert.match(result.output, /^x{500}\n\[… 2999009 bytes cut …\]\nx+\nthe end\n$/);
    assert.equal(result.outputDigest, sha256(Buffer.from(`${'x'.repeat(3_000_000)}\nthe end\n`)));
  });

  test('a flood is cut off, and memory stays flat meanwhile', { timeout: 60_000 }, async () => {
    let most = 0;
    const timer = setInterval(() => {
      most = Math.max(most, process.memoryUsage().rss);
    }, 20);
    const start = process.memoryUsage().rss;
    const result = await sh(sandbox, 'yes', { timeoutMs: 50_000 });
    clearInterval(timer);
    assert.deepEqual([result.end, result.exitCode], ['exited', 137]);
    assert.match(result.output.slice(-60), /\[killed after \d{8,9} bytes of output\]\n$/);
    assert.ok(most - start < 48 * MiB, `grew by ${(most - start) / MiB} MiB for 64 MiB`);
    assert.deepEqual(await agentProcesses(sandbox), []);
  });

  for (const [what, script] of [
    ['hangs and ignores signals', 'trap "" TERM INT HUP; while :; do sleep 1; done'],
    ['stops itself and its parent', 'kill -STOP $PPID; kill -STOP $$'],
    ['waits in the foreground with a daemon behind', `${DAEMON} sleep 100`],
  ] as const) {
    test(`a command that ${what} is killed at its limit`, async () => {
      const result = await sh(sandbox, script, { timeoutMs: 700 });
      assert.deepEqual([result.end, result.exitCode], ['timed_out', null]);
      assert.ok(result.ms >= 700 && result.ms < 5000, `${result.ms} ms`);
      assert.deepEqual(await agentProcesses(sandbox), []);
    });
  }

  test('an abort kills the command, and one before the start starts nothing', async () => {
    const caller = new AbortController();
    const running = sh(sandbox, 'echo started; sleep 100', { signal: caller.signal, onOutput: () => caller.abort() });
    assert.equal((await running).end, 'aborted');
    assert.equal((await sh(sandbox, 'touch /work/never', { signal: AbortSignal.abort() })).end, 'aborted');
    assert.notEqual((await sh(sandbox, 'ls /work/never')).exitCode, 0);
    assert.deepEqual(await agentProcesses(sandbox), []);
  });

  for (const [what, script] of [
    ['is left behind', `${DAEMON} echo done`],
    ['is left behind by a command that kills what would clean up', `${DAEMON} kill -9 $PPID`],
    ['hides in namespaces of its own', 'unshare -Urpf bash -c "trap : TERM; sleep 100" >/dev/null 2>&1 </dev/null & sleep 0.3'],
  ] as const) {
    test(`a daemon that ${what} does not outlive the command`, async () => {
      const kept = await sh(sandbox, DAEMON, { keep: true });
      assert.equal(kept.exitCode, 0);
      assert.notDeepEqual(await agentProcesses(sandbox), [], 'the control: with `keep` it stays');
      assert.equal((await sh(sandbox, script)).end, 'exited');
      assert.deepEqual(await agentProcesses(sandbox), []);
    });
  }

  test('a command with `keep` runs beside others and can be stopped alone', async () => {
    const other = sh(sandbox, 'echo waiting; until test -e /tmp/go; do sleep 0.1; done; echo done', { keep: true });
    assert.equal((await sh(sandbox, 'sleep 100', { keep: true, timeoutMs: 300 })).end, 'timed_out');
    assert.equal((await sh(sandbox, 'touch /tmp/go', { keep: true })).exitCode, 0);
    assert.equal((await other).output, 'waiting\ndone\n');
  });

  test('commands take turns', async () => {
    const [first, second] = await Promise.all([sh(sandbox, 'sleep 0.3; echo first > /work/turn'), sh(sandbox, 'cat /work/turn')]);
    assert.equal(first.exitCode, 0);
    assert.equal(second.output, 'first\n');
  });

  test('a source of stdin that fails fails the command, and nothing of it stays', async () => {
    const stdin = new Readable({
      read() {
        this.destroy(new Error('the source broke'));
      },
    });
    await assert.rejects(sh(sandbox, 'cat; sleep 100', { stdin }), /the source broke/);
    assert.deepEqual(await agentProcesses(sandbox), []);
  });

  test('a user who has used up the processes leaves enough for what ends it', { timeout: 40_000 }, async () => {
    const fill = `import os, signal
try:
  while True:
    if os.fork() == 0: signal.pause()
except OSError: print("full", flush=True)
signal.pause()`;
    const caller = new AbortController();
    const onOutput = () => caller.abort();
    // With `keep`, processes are looked for one by one by an exec of our own, which has to fork for that.
    const full = await sh(sandbox, `exec python3 -c '${fill}'`, { keep: true, signal: caller.signal, onOutput });
    assert.deepEqual([full.end, full.output], ['aborted', 'full\n']);
    assert.deepEqual(await agentProcesses(sandbox), [], 'all are gone, and the sandbox is not');
  });

  test('a fork bomb fails cleanly, and the sandbox is usable after it', { timeout: 40_000 }, async () => {
    const result = await sh(sandbox, 'bomb() { bomb | bomb & }; bomb; sleep 100', { timeoutMs: 2000 });
    assert.equal(result.end, 'timed_out');
    assert.match(result.output, /fork/i);
    assert.equal((await sh(sandbox, 'echo usable')).output, 'usable\n');
    assert.deepEqual(await agentProcesses(sandbox), []);
  });
});
