import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { CoatcheckError } from '../errors.ts';
import { scrub } from './scrub.ts';

const MiB = 1024 * 1024;

export interface GitRun {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly stdin?: Buffer | Readable;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Bytes of stdout kept; a command that writes more is killed. */
  readonly outputLimit?: number;
  /** Cap on each file that git writes (RLIMIT_FSIZE); at it, git fails with 'File too large' and `tooLarge` is set. */
  readonly fileBytes?: number;
  /** Taken out of `reason` in every form. */
  readonly secrets?: readonly string[];
}

export interface GitResult {
  /** Null when git was killed. */
  readonly code: number | null;
  readonly stdout: Buffer;
  /** git's last words on one line, scrubbed, or why it was killed. */
  readonly reason: string;
  /** Whether the cap on a file's size ended it. */
  readonly tooLarge: boolean;
}

/**
 * Runs git with an argument list and a closed environment, in a process group of its own that is killed whole on
 * abort and after `timeoutMs`. Does not throw for a failing command.
 *
 * Not by simple-git: that feeds no stdin, caps no output, and its abort leaves git's own children running.
 * @throws the signal's reason when it is aborted.
 */
export async function runGit(run: GitRun): Promise<GitResult> {
  run.signal.throwIfAborted();
  const child = startGit(run);
  const killed: { why: string | null } = { why: null };
  const stop = (why: string): void => {
    killed.why ??= why;
    killGroup(child);
  };
  const timer = setTimeout(() => stop(`it took longer than ${Math.ceil(run.timeoutMs / 1000)} s`), run.timeoutMs);
  const onAbort = (): void => stop('stopped');
  run.signal.addEventListener('abort', onAbort, { once: true });
  try {
    const stdout = collect(child.stdout, run.outputLimit ?? 16 * MiB, () => stop('it printed too much'));
    const stderr = collect(child.stderr, 64 * 1024, () => {});
    feed(child, run.stdin);
    const code = await ended(child);
    run.signal.throwIfAborted();
    const words = Buffer.concat(stderr).toString('utf8');
    return {
      code: killed.why === null ? code : null,
      stdout: Buffer.concat(stdout),
      reason: killed.why ?? lastWords(words, run.secrets ?? []),
      tooLarge: /File too large/.test(words),
    };
  } finally {
    clearTimeout(timer);
    run.signal.removeEventListener('abort', onAbort);
  }
}

/** As `runGit`, for commands that fail only through a defect or a broken host. @throws CoatcheckError `git_failed`. */
export async function git(run: GitRun): Promise<string> {
  const result = await runGit(run);
  if (result.code === 0) return result.stdout.toString('utf8');
  throw new CoatcheckError(
    'git_failed',
    `git ${run.args.find((arg) => /^[a-z]/.test(arg)) ?? ''}: ${result.reason}.`,
    'See the disk and the data directory.',
  );
}

function startGit(run: GitRun): ChildProcess {
  const command = ['git', ...run.args];
  const capped =
    run.fileBytes === undefined
      ? command
      : ['env', '--ignore-signal=XFSZ', 'prlimit', `--fsize=${run.fileBytes}`, '--core=0', '--', ...command];
  const [program = 'git', ...args] = capped;
  return spawn(program, args, { env: run.env, cwd: '/', stdio: ['pipe', 'pipe', 'pipe'], detached: true });
}

/** Kills a process and everything it started that stayed in its group; harmless when it has ended. */
export function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    child.kill('SIGKILL'); // the group is gone already
  }
}

function feed(child: ChildProcess, input: Buffer | Readable | undefined): void {
  child.stdin?.on('error', () => {}); // git may end before it has read everything
  if (input === undefined || Buffer.isBuffer(input)) child.stdin?.end(input);
  else if (child.stdin !== null) input.once('error', () => killGroup(child)).pipe(child.stdin);
}

function collect(stream: Readable | null, limit: number, onFull: () => void): Buffer[] {
  const chunks: Buffer[] = [];
  let kept = 0;
  stream?.on('data', (chunk: Buffer) => {
    if (kept + chunk.length > limit) onFull();
    chunks.push(chunk.subarray(0, Math.max(0, limit - kept)));
    kept = Math.min(limit, kept + chunk.length);
  });
  return chunks;
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => {
      reject(
        new CoatcheckError('git_missing', `git could not be started: ${cause.message}.`, 'Install git and util-linux.', {
          cause,
        }),
      );
    });
    child.once('close', resolve);
  });
}

/** The lines that say what went wrong, without progress and hints, on one line of at most 600 characters. */
function lastWords(stderr: string, secrets: readonly string[]): string {
  const lines = scrub(stderr, secrets)
    .split(/[\r\n]+/)
    .map((line) => line.replace(/[\p{Cc}\p{Cf}]/gu, ' ').trim())
    .filter((line) => line !== '');
  const telling = lines.filter((line) => /^(?:fatal|error|remote|!|prlimit)/i.test(line));
  const text = (telling.length > 0 ? telling : lines).slice(-6).join('; ');
  return (text === '' ? 'git gave no reason' : text).slice(0, 600).replace(/\.$/, '');
}
