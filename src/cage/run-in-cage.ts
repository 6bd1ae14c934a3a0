import { chownSync, lstatSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { CoatcheckError } from '../errors.ts';
import { CAGE_UID } from './arguments.ts';
import type { CageOptions } from './cage.ts';
import { startCage } from './start-cage.ts';

export interface RunInCageOptions extends Omit<CageOptions, 'stdio'> {
  readonly stdin?: Readable | Buffer;
  /** Bytes kept of stdout and of stderr each. A command that writes more to stdout is killed: its output is of no use cut. */
  readonly outputLimit: number;
  readonly timeoutMs: number;
}

export interface CageResult {
  /** Only `exited` has an exit code that means anything. `killed`: a signal from inside or outside, a cap among them. */
  readonly ended: 'exited' | 'killed' | 'timed_out' | 'aborted' | 'output_limit';
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/**
 * Runs a command in a cage to its end. Does not throw for a failing command: see `ended` and `exitCode`.
 * @throws CoatcheckError `cage_unavailable` naming the missing package; `cage_failed` when it could not be started.
 */
export async function runInCage(options: RunInCageOptions): Promise<CageResult> {
  const { stdin, outputLimit, timeoutMs, ...cage } = options;
  const why: { stopped: 'timed_out' | 'output_limit' | null } = { stopped: null };
  const child = startCage({ ...cage, stdio: ['pipe', 'pipe', 'pipe'] });
  const stop = (reason: 'timed_out' | 'output_limit') => {
    why.stopped ??= reason;
    child.kill('SIGKILL');
  };
  const timer = setTimeout(() => stop('timed_out'), timeoutMs);
  const stdout = keep(child.stdout, outputLimit, () => stop('output_limit'));
  const stderr = keep(child.stderr, outputLimit, () => {});
  feed(child.stdin, stdin, () => child.kill('SIGKILL'));
  try {
    const [exitCode, signal] = await closed(child);
    const ended =
      why.stopped ?? (options.signal.aborted ? 'aborted' : signal !== null || diedBySignal(exitCode) ? 'killed' : 'exited');
    return {
      ended,
      exitCode: ended === 'exited' ? exitCode : null,
      signal,
      stdout: Buffer.concat(stdout),
      stderr: Buffer.concat(stderr).toString('utf8'),
    };
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Makes a directory or file writable for the cage's user. Not recursive, and links are refused: what a cage wrote
 * before is not followed. Does nothing where the caller is not root, because the cage then has the caller's identity.
 */
export function giveToCage(path: string, uid: number = CAGE_UID): void {
  if (process.getuid?.() !== 0) return;
  if (lstatSync(path).isSymbolicLink())
    throw new CoatcheckError('cage_failed', `${path} is a link.`, 'Name the directory itself.');
  chownSync(path, uid, uid);
}

/** bubblewrap and the shell's custom: 128 + n says that signal n ended the command. */
const diedBySignal = (exitCode: number | null): boolean => exitCode !== null && exitCode > 128 && exitCode < 128 + 65;

function keep(stream: Readable | null, limit: number, onFull: () => void): Buffer[] {
  const chunks: Buffer[] = [];
  let kept = 0;
  stream?.on('data', (chunk: Buffer) => {
    if (kept + chunk.length > limit) onFull();
    if (kept < limit) chunks.push(chunk.subarray(0, limit - kept));
    kept += chunk.length;
  });
  return chunks;
}

function feed(into: NodeJS.WritableStream | null, input: Readable | Buffer | undefined, onSourceError: () => void): void {
  into?.on('error', () => {}); // the command may end before it has read everything
  if (input === undefined) into?.end();
  else if (Buffer.isBuffer(input)) into?.end(input);
  else if (into !== null) input.once('error', onSourceError).pipe(into);
}

function closed(child: ReturnType<typeof startCage>): Promise<[number | null, NodeJS.Signals | null]> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) =>
      reject(
        new CoatcheckError('cage_failed', `The cage could not be started: ${cause.message}.`, "See the host's limits.", {
          cause,
        }),
      ),
    );
    child.once('close', (code, signal) => resolve([code, signal]));
  });
}
