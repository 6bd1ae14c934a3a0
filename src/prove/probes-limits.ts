import { type LimitsGround, shell } from './limits-ground.ts';
import type { Observation, Probe } from './probe.ts';

const MiB = 1024 * 1024;
type LimitsProbe = Probe<LimitsGround>;

/** What others do on the same disk meanwhile, and what the engine writes of its own. */
const NOISE_BYTES = 200 * MiB;

function found(finding: string, name: string, attempt: string, expected: string): LimitsProbe {
  return {
    ...{ class: 'resources', name, attempt, expected },
    async run(ground) {
      const { stopped, seen } = await ground.finding(finding);
      return { held: stopped, seen, control: { worked: true, how: 'the attempt was made, and the kernel answered it' } };
    },
  };
}

async function alive(ground: LimitsGround): Promise<Observation['control']> {
  const { end, output } = await ground.sh('echo alive');
  return { worked: end === 'exited' && output === 'alive\n', how: 'the sandbox runs commands afterwards' };
}

function fill(place: string, size: (ground: LimitsGround) => number): LimitsProbe {
  return {
    ...{ class: 'resources', name: `fill ${place}`, attempt: `write more than fits into ${place}` },
    expected: 'an error at its size; the sandbox lives and the host’s disk is as before',
    async run(ground) {
      const most = size(ground);
      const before = await ground.freeOnHost();
      const file = `${place}/coatcheck-prove`;
      const { output } = await ground.sh(
        `dd if=/dev/zero of=${file} bs=4M count=${Math.ceil((most + 64 * MiB) / (4 * MiB))} 2>&1; stat -c 'wrote %s' ${file}; rm -f ${file}`,
        { timeoutMs: 50_000 },
      );
      const lost = before - (await ground.freeOnHost());
      const wrote = Number(/wrote (\d+)/.exec(output)?.[1] ?? Number.NaN);
      const held = /No space left on device/.test(output) && wrote <= most && lost < NOISE_BYTES;
      const seen = `${Math.round(wrote / MiB)} MiB of ${Math.round(most / MiB)}, then ${/No space left[^\n]*/.exec(output)?.[0] ?? output.slice(-80)}; the host's disk lost ${Math.max(0, Math.round(lost / MiB))} MiB`;
      return { held, seen, control: await alive(ground) };
    },
  };
}

const DISKS: readonly LimitsProbe[] = [
  fill('/work', ({ limits }) => limits.workBytes),
  fill('/tmp', ({ limits }) => limits.tmpBytes),
  fill('/dev/shm', () => 64 * MiB),
  {
    ...{ class: 'resources', name: 'a flood of files', attempt: '20,000 empty files in /tmp' },
    expected: 'the sandbox lives, and the host’s disk is as before',
    async run(ground) {
      const before = await ground.freeOnHost();
      const { end, output } = await ground.sh(
        `python3 -c "import os
os.mkdir('/tmp/flood')
for n in range(20000): os.close(os.open(f'/tmp/flood/{n}', os.O_CREAT))
print(len(os.listdir('/tmp/flood')))" 2>&1; rm -rf /tmp/flood`,
      );
      const lost = before - (await ground.freeOnHost());
      const seen = `${output.trim().slice(-80)} files; the host's disk lost ${Math.max(0, Math.round(lost / MiB))} MiB`;
      return { held: end === 'exited' && lost < NOISE_BYTES, seen, control: await alive(ground) };
    },
  },
];

const OUTPUT: readonly LimitsProbe[] = [
  {
    ...{ class: 'resources', name: 'a flood of output', attempt: '32 MiB of lines' },
    expected: 'the head and the tail are kept with a mark between, the rest is counted and dropped',
    async run(ground) {
      const { end, output, truncated } = await ground.sh('yes | head -c 32M', { outputLimit: 64 * 1024 });
      const seen = `${output.length} characters kept, ${truncated ? 'marked' : 'not marked'}, ${end}`;
      return { held: truncated && output.length <= 96 * 1024, seen, control: await alive(ground) };
    },
  },
  {
    ...{ class: 'resources', name: 'one huge line', attempt: '16 MiB without a line end, and control characters' },
    expected: 'kept up to the cap, with a mark',
    async run(ground) {
      const { output, truncated } = await ground.sh(`printf '\\033[2J'; head -c 16M /dev/zero | tr '\\0' x`, {
        outputLimit: 64 * 1024,
      });
      const seen = `${output.length} characters kept, ${truncated ? 'marked' : 'not marked'}`;
      return { held: truncated && output.length <= 96 * 1024, seen, control: await alive(ground) };
    },
  },
];

function hung(name: string, attempt: string, script: string): LimitsProbe {
  return {
    ...{ class: 'resources', name, attempt, expected: 'ended at its limit, as timed out' },
    async run(ground) {
      const { end, ms } = await ground.sh(`echo begun; ${script}`, { timeoutMs: 1000 });
      return {
        held: end === 'timed_out' && ms < 10_000,
        seen: `${end} after ${Math.round(ms)} ms`,
        control: await alive(ground),
      };
    },
  };
}

const TIMES: readonly LimitsProbe[] = [
  hung('a command that hangs', 'sleep for ever', 'sleep 1000'),
  hung('a command that stops itself', 'SIGSTOP', 'kill -STOP $$; sleep 1000'),
  hung('a command that ignores its end', 'every signal trapped', "trap '' TERM INT HUP QUIT; while :; do sleep 100; done"),
  {
    ...{ class: 'resources', name: 'a daemon', attempt: 'a process in a session of its own that writes on' },
    expected: 'gone when its command has ended; the file grows no more',
    async run(ground) {
      const begun = await ground.sh(
        `(setsid nohup bash -c 'echo $$ > /tmp/daemon.pid; while :; do echo x >> /tmp/daemon; sleep 0.05; done' >/dev/null 2>&1 &); until [ -s /tmp/daemon ]; do sleep 0.05; done; echo begun`,
      );
      const { output } = await ground.sh(
        'before=$(stat -c %s /tmp/daemon); sleep 0.3; after=$(stat -c %s /tmp/daemon); echo grew $((after - before)), $(ls -d /proc/$(cat /tmp/daemon.pid) 2>/dev/null | wc -l) left; rm /tmp/daemon*',
      );
      const seen = output.trim();
      return {
        held: /^grew 0, 0 left$/.test(seen),
        seen,
        control: { worked: begun.output === 'begun\n', how: 'the daemon had begun to write' },
      };
    },
  },
];

/** It ends its sandbox, so it has one of its own. */
const MEMORY: LimitsProbe = {
  ...{ class: 'resources', name: 'all memory', attempt: 'a process that takes memory for ever, in a sandbox with little' },
  expected: 'the sandbox ends as out_of_memory within 20 s, and this process lives',
  async run(ground) {
    const sandbox = await ground.toDestroy();
    const before = await sandbox.exec(shell('echo alive'));
    const { end, ms } = await sandbox.exec(shell('python3 -c "l = []\nwhile True: l.append(bytearray(8 << 20))"'));
    const cause = end === 'sandbox_died' ? await sandbox.died : 'alive';
    await sandbox.close();
    return {
      held: cause === 'out_of_memory' && ms < 20_000,
      seen: `${end}, ${cause}, after ${Math.round(ms)} ms`,
      control: { worked: before.output === 'alive\n', how: 'it ran commands before' },
    };
  },
};

export const LIMITS_PROBES: readonly LimitsProbe[] = [
  found('processes', 'a fork bomb', 'fork until it fails', 'it fails at the limit, and the sandbox lives'),
  found('open_files', 'all file descriptors', 'open until it fails', 'it fails at the limit'),
  found('raise_processes', 'more processes', 'setrlimit(RLIMIT_NPROC)', 'the kernel refuses'),
  found('raise_files', 'more open files', 'setrlimit(RLIMIT_NOFILE)', 'the kernel refuses'),
  found('raise_core', 'core dumps', 'setrlimit(RLIMIT_CORE)', 'the kernel refuses'),
  found('realtime', 'the processor alone', 'sched_setscheduler(SCHED_FIFO)', 'the kernel refuses'),
  ...DISKS,
  ...OUTPUT,
  ...TIMES,
  MEMORY,
];
