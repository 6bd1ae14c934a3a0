import type Docker from 'dockerode';
import type { SandboxLimits } from '../policy/limits.ts';
import { AGENT } from './container-options.ts';
import type { Engine } from './engine.ts';
import { type ExecCall, runOwn } from './exec-channel.ts';
import { MARK_VARIABLE, type Marks, markArgument } from './witness/marks.ts';

// `kill … -1` reaches every process of the agent's user but the caller; the relay and process 1 are other users'.
// Everything is stopped before anything is killed: a fork bomb fills each place that a death makes free, but it cannot
// fork while it is at its limit and at a halt. Rounds repeat, as a process that forks at the same moment slips through one.
const KILL_ALL =
  'n=0; while [ $n -lt 5 ] && kill -STOP -1 2>/dev/null; do n=$((n+1)); done; ' +
  'n=0; while [ $n -lt 200 ] && kill -KILL -1 2>/dev/null; do n=$((n+1)); done';

// The container's own limits are higher than the task's (see `containerOptions`), so the task's are set here; dash calls
// RLIMIT_NPROC `-p`.
const INTO = 'cd "$1" || exit 126; ulimit -n "$2"; ulimit -p "$3"; shift 3';

/**
 * The first process of every command: runs it in a session of its own, then kills whatever the agent's user still runs,
 * then passes the exit code on. One shell does this faster than a second exec would (30 ms against 70 ms).
 * A command may kill this shell; that shows as an exit code of 128 or more, and `reap` follows from outside.
 */
const WRAPPER = `${INTO}; exec 3<&0; setsid "$@" <&3 3<&- & exec </dev/null 3<&-; wait $!; code=$?; ${KILL_ALL}; exit $code`;

export type CommandLimits = Pick<SandboxLimits, 'openFiles' | 'processes'>;

/** The same for a command with `keep`: nothing is killed after it. */
const KEEPING_WRAPPER = `${INTO}; exec setsid --wait "$@"`;

/**
 * The command as it is really started, and what to add to its environment.
 * @param mark names the command: the kernel's account knows its processes by it, and so does `reapKept`
 * @param keep whether what it leaves running stays
 */
export function wrapped(
  { command, cwd, limits }: { command: readonly string[]; cwd: string; limits: CommandLimits },
  mark: string,
  keep: boolean,
): Pick<ExecCall, 'command' | 'env'> {
  const shell = ['/bin/sh', '-c', keep ? KEEPING_WRAPPER : WRAPPER, markArgument(mark)];
  const argv = [...shell, cwd, String(limits.openFiles), String(limits.processes), ...command];
  return { command: argv, env: { [MARK_VARIABLE]: mark } };
}

const REAP_MS = 5000;
const REAP_TRIES = 3;

/** Kills every process of the agent's user, from outside; false when the guest does not do it. */
export function reap(engine: Engine, container: Docker.Container, marks: Marks): Promise<boolean> {
  return runInside(engine, container, KILL_ALL, marks);
}

/** Kills the processes of one `keep` command, found by its mark in their environment; false when the guest does not do it. */
export function reapKept(engine: Engine, container: Docker.Container, mark: string, marks: Marks): Promise<boolean> {
  const isOne = `grep -qzx '${MARK_VARIABLE}=${mark}' $p/environ 2>/dev/null`;
  return runInside(engine, container, `for p in /proc/[0-9]*; do ${isOne} && kill -KILL \${p#/proc/}; done`, marks);
}

async function runInside(engine: Engine, container: Docker.Container, kill: string, marks: Marks): Promise<boolean> {
  // A wrapper that does the same at this moment may stop or kill ours: then it is tried again.
  for (let tries = 0; tries < REAP_TRIES; tries += 1) {
    const own = { user: AGENT, script: `${kill}; exit 0`, mark: marks.issue(0) };
    const done = await runOwn(engine, container, { ...own, ms: REAP_MS / (REAP_TRIES - tries) });
    if (done?.code === 0) return true;
  }
  return false;
}
