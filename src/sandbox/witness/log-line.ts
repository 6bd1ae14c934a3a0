import { z } from 'zod';
import { lastVector, unquoted } from './go-quoted.ts';

/** Which thread did something: ids in the sandbox's outermost PID namespace, and its own process id where it is in an inner one. */
export interface Caller {
  readonly pid: number;
  readonly inner: number | null;
}

/** What one line of the log tells, as far as it matters here. */
export type LogLine =
  /** The kernel itself started a process, as it was told from outside: the container's first, or that of an exec. */
  | { readonly told: 'started'; readonly argv: string }
  | { readonly told: 'forked'; readonly by: Caller; readonly child: number }
  | {
      readonly told: 'executed';
      readonly by: Caller;
      readonly executable: string;
      /** Still escaped, see `unquoted`; null where the kernel could not read it. */
      readonly argv: readonly string[] | null;
      readonly environment: readonly string[] | null;
    }
  | { readonly told: 'connected'; readonly by: Caller; readonly to: string; readonly result: string }
  /** Lines that the log had to leave out. */
  | { readonly told: 'dropped'; readonly lines: number };

const Line = z.object({ msg: z.string() });

const STARTED = /^kernel\.go:\d+\] EXEC: \[(.*)\]$/s;
const PREFIX = /^strace\.go:\d+\] \[ *(\d+)(?:\( *(\d+)\))?: *\d+(?:\( *\d+\))?\] /;
const EXIT = / X (execve|execveat|clone3?|v?fork|connect)\(/g;
/** A thread's name is up to 15 bytes, and whatever its program says (prctl(2), PR_SET_NAME). */
const NAME_MAX = 15;
/** ` = 3 (0x3) (282.522µs)`, ` = 0 (0x0) errno=2 (no such file or directory) (7.3µs)`. */
const RESULT = /\) = (\d+) \(0x[0-9a-f]+\) (?:errno=(\d+) \(([a-z0-9 ,.:_'/-]*)\) )?\([0-9.hmnsµ]+\)$/i;

/**
 * Reads one line; null for what does not matter here. Only a call's end is looked at: it says all that its beginning says.
 *
 * The frame is the runtime's JSON; inside of a message the thread's name and paths stand as the program gave them, so the
 * name is known by its length, arguments are read from the end, and what remains in between is a path.
 */
export function readLine(line: string): LogLine | null {
  if (!line.startsWith('{')) return droppedLines(line);
  // The beginnings of calls, half of all, are passed over without a parse: an end's last word is how long it took.
  if (line.startsWith('{"msg":"strace.go') && !line.includes('s)","level":', line.length - 80)) return null;
  const msg = message(line);
  if (msg === null) return null;
  const started = STARTED.exec(msg);
  if (started !== null) return { told: 'started', argv: started[1] ?? '' };
  const prefix = PREFIX.exec(msg);
  return prefix === null ? null : readCall(msg.slice(prefix[0].length), { pid: Number(prefix[1]), inner: inner(prefix[2]) });
}

const inner = (digits: string | undefined): number | null => (digits === undefined ? null : Number(digits));

function message(line: string): string | null {
  try {
    return Line.parse(JSON.parse(line)).msg;
  } catch {
    return null;
  }
}

/** gVisor says so itself when it could not write for a time (pkg/log). */
function droppedLines(line: string): LogLine | null {
  const found = /\*\*\* Dropped (\d+) log messages \*\*\*/.exec(line);
  return found === null ? null : { told: 'dropped', lines: Number(found[1]) };
}

function readCall(text: string, by: Caller): LogLine | null {
  const call = [...text.slice(0, NAME_MAX + 20).matchAll(EXIT)].filter(({ index }) => index <= NAME_MAX).at(-1);
  const end = RESULT.exec(text);
  if (call === undefined || end === null) return null;
  const args = text.slice(call.index + call[0].length, end.index);
  const failed = end[2] !== undefined;
  switch (call[1]) {
    case 'connect':
      return { told: 'connected', by, to: target(args), result: failed ? (end[3] ?? '') : 'connected' };
    case 'execve':
    case 'execveat':
      return failed ? null : executed(args, by, call[1] === 'execveat');
    default:
      return failed || args.includes('CLONE_THREAD') ? null : { told: 'forked', by, child: Number(end[1]) };
  }
}

function executed(args: string, by: Caller, at: boolean): LogLine {
  const environment = lastVector(at ? args.replace(/, 0x[0-9a-f]+$/, '') : args);
  const argv = environment === null ? null : lastVector(environment.before.replace(/,$/, ''));
  const path = (argv?.before ?? args).replace(/,$/, '');
  // `0x7ec6 /bin/true`, and for execveat `AT_FDCWD /tmp, 0x7ec6 /bin/true` or `0x3 /bin/true, 0x7ec6 `.
  const found = (at ? /^\S+ (.*), 0x[0-9a-f]+ (.*)$/s : /^()0x[0-9a-f]+ (.*)$/s).exec(path);
  const executable = found?.[2] || found?.[1] || path;
  return { told: 'executed', by, executable, argv: argv?.quoted ?? null, environment: environment?.quoted ?? null };
}

/** Where to, from `0x4 socket:[3], 0x7ea8 {Family: AF_INET, Addr: 10.1.2.3, Port: 80}, 0x10`. */
function target(args: string): string {
  const inet = /\{Family: AF_INET(6)?, Addr: ([0-9a-f.:]+), Port: (\d+)\}, 0x[0-9a-f]+$/.exec(args);
  if (inet !== null) return inet[1] === undefined ? `${inet[2]}:${inet[3]}` : `[${inet[2]}]:${inet[3]}`;
  const unix = /\{Family: AF_UNIX, Addr: "((?:[^"\\]|\\.)*)"\}, 0x[0-9a-f]+$/s.exec(args);
  if (unix !== null) return `unix:${unquoted(unix[1] ?? '')}`;
  // Releases of 2024 do not tell a Unix socket's path.
  const family = /\{Family: (?:AF_)?(\w+)[^{}"]*\}, 0x[0-9a-f]+$/.exec(args)?.[1];
  return family === undefined ? 'not told' : `${family.toLowerCase()}:(not told)`;
}
