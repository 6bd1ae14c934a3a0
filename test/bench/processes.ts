/** What processes used, from /proc (proc(5)). */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** A process and everything below it. */
export function tree(root: number): number[] {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const parents = new Map(all.map((pid) => [Number(pid), Number(stat(Number(pid))[1])]));
  const isBelow = (pid: number): boolean => pid === root || (pid > 1 && isBelow(parents.get(pid) ?? 0));
  return [...parents.keys()].filter(isBelow);
}

/** The process below `root` whose command line holds this text and that has no child. @throws Error when there is none. */
export function below(root: number, text: string): number {
  const found = tree(root).find(
    (pid) =>
      pid !== root &&
      read(pid, 'cmdline')
        .split('\0')
        .some((word) => word.endsWith(text)) &&
      tree(pid).length === 1,
  );
  if (found === undefined) throw new Error(`no process below ${root} runs ${text}`);
  return found;
}

/** Processor time used so far by all threads of these processes. Seconds, to the nanosecond (Documentation/scheduler/sched-stats). */
export const processorSeconds = (pids: readonly number[]): number =>
  pids
    .flatMap((pid) => threads(pid).map((thread) => Number(read(pid, `task/${thread}/schedstat`).split(' ')[0])))
    .reduce((sum, each) => sum + each, 0) / 1e9;

/** The most resident memory since the last `forgetPeak`. MiB. */
export const peakMiB = (pids: readonly number[]): number =>
  pids.map((pid) => Number(/^VmHWM:\s+(\d+)/m.exec(read(pid, 'status'))?.[1] ?? 0)).reduce((sum, kib) => sum + kib, 0) / 1024;

export function forgetPeak(pids: readonly number[]): void {
  for (const pid of pids) writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

function threads(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return []; // it ended
  }
}

/** Fields from the third on: a process's name may hold anything. */
function stat(pid: number): string[] {
  const text = read(pid, 'stat');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // it ended
  }
}

/** Processor time that the control group of a process has used so far, with all that lived in it; see cgroups(7). Seconds. */
export function groupSeconds(pid: number): number {
  const groups = read(pid, 'cgroup').split('\n');
  const older = groups.find((line) => line.split(':')[1]?.split(',').includes('cpuacct'));
  const path = (older ?? groups.find((line) => line.startsWith('0::')))?.split(':').slice(2).join(':') ?? '';
  if (older !== undefined) return Number(readFileSync(`/sys/fs/cgroup/cpuacct${path}/cpuacct.usage`, 'utf8')) / 1e9;
  const stat = readFileSync(`/sys/fs/cgroup${path}/cpu.stat`, 'utf8');
  return Number(/^usage_usec (\d+)$/m.exec(stat)?.[1] ?? Number.NaN) / 1e6;
}
