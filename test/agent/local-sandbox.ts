import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { type CauseOfDeath, type ExecOptions, type ExecResult, type Sandbox, WORK_TREE } from '../../src/sandbox/sandbox.ts';

/** A double of our own `Sandbox` that isolates nothing: a temporary folder and child processes, so that tools can be tested fast. */
export interface LocalSandbox extends Sandbox {
  /** The host folder that stands for the work tree. */
  readonly directory: string;
  /** From now on every command finds the sandbox dead. */
  die(cause: CauseOfDeath): void;
  readonly commands: readonly string[][];
}

export async function localSandbox(): Promise<LocalSandbox> {
  const directory = await mkdtemp(join(tmpdir(), 'coatcheck-local-'));
  const death = Promise.withResolvers<CauseOfDeath>();
  const commands: string[][] = [];
  let dead = false;
  const die = (cause: CauseOfDeath) => {
    dead = true;
    death.resolve(cause);
  };
  return {
    id: 'local',
    facts: {
      image: 'none',
      imageDigest: '',
      runtime: 'none',
      runtimeVersion: '',
      kernel: '',
      inspectDigest: '',
      capabilities: [],
    },
    kernel: Promise.resolve(null),
    died: death.promise,
    directory,
    commands,
    die,
    async exec(options) {
      commands.push([...options.command]);
      if (dead) return empty('sandbox_died');
      const result = await run(options, directory);
      return dead ? { ...result, end: 'sandbox_died', exitCode: null } : result;
    },
    stream() {
      const stdout = new PassThrough();
      stdout.end();
      return { stdout, done: Promise.resolve(empty('exited')) };
    },
    async trust() {},
    async close() {
      die('closed');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function run(options: ExecOptions, directory: string): Promise<ExecResult> {
  const [program = '', ...args] = options.command;
  const began = performance.now();
  const { promise, resolve, reject } = Promise.withResolvers<ExecResult>();
  const child = spawn(program, args, {
    cwd: options.cwd === WORK_TREE || options.cwd === undefined ? directory : options.cwd,
    env: { PATH: process.env['PATH'], HOME: directory, LANG: 'C.UTF-8', ...options.env },
    detached: true,
  });
  let end: ExecResult['end'] = 'exited';
  const kill = (why: ExecResult['end']) => {
    end = why;
    // The group: what the command started must not outlive it.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  };
  const timer = setTimeout(() => kill('timed_out'), options.timeoutMs);
  const abort = () => kill('aborted');
  options.signal.addEventListener('abort', abort, { once: true });
  const kept = { stdout: keep(options.outputLimit), stderr: keep(options.outputLimit), both: keep(options.outputLimit) };
  const digest = createHash('sha256');
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk: Buffer) => {
      kept[name].add(chunk);
      kept.both.add(chunk);
      digest.update(chunk);
      options.onOutput?.(chunk);
    });
  }
  child.stdin.on('error', () => undefined);
  if (options.stdin instanceof Readable) options.stdin.pipe(child.stdin);
  else child.stdin.end(options.stdin);
  child.once('error', reject);
  child.once('close', (code) => {
    clearTimeout(timer);
    options.signal.removeEventListener('abort', abort);
    const truncated = kept.stdout.cut() || kept.stderr.cut();
    resolve({
      end,
      exitCode: end === 'exited' ? (code ?? 137) : null,
      stdout: kept.stdout.bytes(),
      stderr: kept.stderr.bytes(),
      output: kept.both.bytes().toString('utf8') + (kept.both.cut() ? '\n[cut]' : ''),
      truncated,
      outputDigest: digest.digest('hex'),
      command: 1,
      ms: performance.now() - began,
    });
  });
  return promise;
}

function keep(limit: number) {
  const chunks: Buffer[] = [];
  let total = 0;
  return {
    add(chunk: Buffer) {
      if (total < limit) chunks.push(chunk.subarray(0, limit - total));
      total += chunk.length;
    },
    bytes: () => Buffer.concat(chunks),
    cut: () => total > limit,
  };
}

const empty = (end: ExecResult['end']): ExecResult => ({
  end,
  exitCode: null,
  stdout: Buffer.alloc(0),
  stderr: Buffer.alloc(0),
  output: '',
  truncated: false,
  outputDigest: createHash('sha256').digest('hex'),
  command: 1,
  ms: 0,
});
