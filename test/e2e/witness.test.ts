import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import type { KernelSight, Sandbox } from '../../src/sandbox/sandbox.ts';
import { LOG_DIRECTORY } from '../../src/sandbox/witness/arguments.ts';
import { logDescriptor } from '../../src/sandbox/witness/find-log.ts';
import { docker, never, realDriver, SMALL, sh, spec } from './real-sandbox.ts';

type Process = Extract<KernelSight, { seen: 'process' }>;

const witnessed = (sights: KernelSight[], change: Parameters<typeof spec>[0] = {}) =>
  spec({ capabilities: ['kernel_witness'], onKernel: (sight) => sights.push(sight), ...change });

const processes = (sights: readonly KernelSight[]) => sights.filter((sight): sight is Process => sight.seen === 'process');

/** Commands of the processes whose program has this name. */
const commandsOf = (sights: readonly KernelSight[], program: string) => [
  ...new Set(processes(sights).flatMap(({ executable, command }) => (executable.endsWith(`/${program}`) ? [command] : []))),
];

/** Starts something in a sandbox past the driver, as nobody should. */
async function intrude(sandbox: Sandbox, ...Cmd: string[]): Promise<void> {
  const exec = await docker.getContainer(sandbox.id).exec({ User: '1000:1000', Cmd, AttachStdout: true });
  for await (const _ of await exec.start({ hijack: true, stdin: false })) {
    // Until it has ended.
  }
}

/** Whether the log that a sandbox's process writes can be found under a name. */
async function logHasName(sandbox: Sandbox): Promise<boolean> {
  const { Pid } = (await docker.getContainer(sandbox.id).inspect()).State;
  const descriptor = logDescriptor(readFileSync(`/proc/${Pid}/cmdline`, 'utf8'));
  const { ino } = statSync(`/proc/${Pid}/fd/${descriptor}`);
  return readdirSync(LOG_DIRECTORY).some((name) => statSync(LOG_DIRECTORY + name, { throwIfNoEntry: false })?.ino === ino);
}

describe('the kernel’s account of a sandbox', () => {
  const driver = realDriver();
  const sights: KernelSight[] = [];
  const numbers: number[] = [];
  let summary: Awaited<Sandbox['kernel']>;
  let hasName: boolean;

  before(async () => {
    const sandbox = await driver.create(witnessed(sights), never);
    hasName = await logHasName(sandbox);
    const number = async (script: string, change: Parameters<typeof sh>[2] = {}) => {
      const result = await sh(sandbox, script, change);
      assert.equal(result.end, 'exited', result.output);
      numbers.push(result.command);
    };
    await sandbox.trust('no authority');
    await number(
      'cd /tmp && echo "int main(void) { return 0; }" > a.c && printf "a: a.c\\n\\tgcc -o a a.c\\n" > Makefile && make && ./a',
    );
    await number('(setsid sh -c "sleep 0.2; exec /usr/bin/id" &) ; sleep 0.4; true');
    await number(
      'curl -s http://127.0.0.1:3128/; curl -s http://127.0.0.1:9; unshare -Ur /usr/bin/tac /dev/null; unshare -Urpf sh -c "unshare -pf sh -c \'/usr/bin/comm /dev/null /dev/null; true\'; true"',
      {
        keep: true,
      },
    );
    await number(
      "mark=$COATCHECK_COMMAND; env -i COATCHECK_COMMAND=$mark /usr/bin/tee </dev/null; node -e \"process.title = 'a X vfork() = 1'; require('child_process').execFileSync('/usr/bin/rev', { input: '' })\"",
    );
    await intrude(sandbox, 'sleep', '0.01');
    await intrude(sandbox, '/bin/sh', '-c', '/usr/bin/nl /dev/null; true');
    await sandbox.close();
    summary = await sandbox.kernel;
  });

  test('commands are numbered, and what descends from them carries their number', () => {
    assert.deepEqual(numbers, [1, 2, 3, 4]);
    for (const program of ['make', 'gcc', 'cc1', 'as', 'ld']) assert.deepEqual(commandsOf(sights, program), [1], program);
    assert.deepEqual(commandsOf(sights, 'id'), [2], 'what outlived its parent');
    assert.deepEqual(commandsOf(sights, 'tac'), [3], 'what has another user namespace');
    assert.deepEqual(commandsOf(sights, 'comm'), [3], 'what is two PID namespaces deep');
    assert.deepEqual([commandsOf(sights, 'tee'), commandsOf(sights, 'rev')], [[4], [4]]);
    const cc1 = processes(sights).find(({ executable }) => executable.endsWith('/cc1'));
    const gcc = processes(sights).find(({ pid }) => pid === cc1?.parent);
    assert.deepEqual(gcc?.argv, ['gcc', '-o', 'a', 'a.c']);
  });

  test('what we do ourselves is number 0, the relay too', () => {
    for (const program of ['haproxy', 'dmesg', 'mv']) assert.deepEqual(commandsOf(sights, program), [0], program);
  });

  test('what was started past the driver is a stranger, also when it starts nothing itself; nothing else is', () => {
    const strangers = processes(sights).filter(({ command }) => command === null);
    assert.deepEqual(strangers.map(({ argv }) => argv.join(' ')).sort(), [
      '/bin/sh -c /usr/bin/nl /dev/null; true',
      '/usr/bin/nl /dev/null',
      'sleep 0.01',
    ]);
    assert.equal(summary?.strangers, 3);
  });

  test('connects are told with place and result, the same ones once', () => {
    const connects = sights.flatMap((sight) =>
      sight.seen === 'connect' && sight.command === 3 && sight.to.startsWith('127.') ? [[sight.to, sight.result]] : [],
    );
    assert.deepEqual(
      connects.map(([to]) => to),
      ['127.0.0.1:3128', '127.0.0.1:9'],
    );
  });

  test('the totals add up, and the account is whole', () => {
    assert.equal(summary?.incomplete, null);
    assert.equal(summary?.processes, processes(sights).length);
    assert.equal((summary?.connects ?? 0) + (summary?.processes ?? 0), sights.length + (summary?.notKept ?? 0));
    assert.ok((summary?.logBytes ?? 0) > 50_000);
  });

  test('environments are nowhere, and the log has no name while it is written', () => {
    assert.equal(JSON.stringify(sights).includes('NODE_EXTRA_CA_CERTS='), false);
    assert.ok(
      processes(sights).some(({ argv }) => argv.includes('-i')),
      'arguments are kept',
    );
    assert.equal(hasName, false);
  });
});

test('a fork bomb and a loop of program starts are survived and told', { timeout: 60_000 }, async (t) => {
  const driver = realDriver();
  const sights: KernelSight[] = [];
  const sandbox = await driver.create(witnessed(sights, { limits: { ...SMALL, processes: 64 } }), never);
  t.after(() => sandbox.close());
  const bomb = await sh(sandbox, 'b() { b | b & }; b; sleep 20', { timeoutMs: 1500 });
  const loop = await sh(sandbox, 'while :; do /bin/true; done', { timeoutMs: 2500 });
  assert.deepEqual([bomb.end, loop.end], ['timed_out', 'timed_out']);
  assert.equal((await sh(sandbox, 'echo alive')).output, 'alive\n');
  await sandbox.close();
  const summary = await sandbox.kernel;
  assert.deepEqual([summary?.strangers, summary?.incomplete], [0, null]);
  assert.deepEqual(commandsOf(sights, 'true'), [loop.command]);
  assert.ok(processes(sights).length > 20);
});

test('a sandbox whose log outgrows its quota is ended, and both its end and its totals say why', {
  timeout: 30_000,
}, async () => {
  const said: string[] = [];
  const driver = realDriver({ logQuota: 2_000_000, log: (line) => said.push(line) });
  const sandbox = await driver.create(witnessed([]), never);
  const flood = await sh(sandbox, 'x=$(head -c 100000 /dev/zero | tr "\\0" x); while :; do /bin/true "$x" "$x" "$x"; done');
  assert.equal(flood.end, 'sandbox_died');
  assert.equal(await sandbox.died, 'killed');
  assert.match((await sandbox.kernel)?.incomplete ?? '', /outgrew its quota/);
  assert.match(said.join('\n'), /is ended: The kernel's log outgrew its quota/);
  await sandbox.close();
});
