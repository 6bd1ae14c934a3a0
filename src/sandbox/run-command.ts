import { createHash, type Hash } from 'node:crypto';
import type { Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { CappedOutput } from './capped-output.ts';
import { type ExecCall, type ExecChannel, NotRunning } from './exec-channel.ts';
import { type Frame, frames } from './frames.ts';
import type { ExecOptions, ExecResult } from './sandbox.ts';

/** How long the output may still flow after everything was killed. */
const DRAIN_MS = 5000;

/** How Docker reports that the runtime did not even start a command; a sandbox at the point of death gives this too. */
const NOT_STARTED = 126;
const RUNTIME_FAILURE = 'OCI runtime exec failed';
/** How long the engine takes to notice a death at most. */
const DEATH_NOTED_MS = 2000;

/** What running a command needs of its sandbox. */
export interface Ground {
  open(call: Omit<ExecCall, 'user'>): Promise<ExecChannel>;
  /** Settles when the sandbox is no more. */
  readonly died: Promise<unknown>;
  /** Kills the command and what it started; false when the guest does not answer. */
  reap(): Promise<boolean>;
  /** Kills the sandbox; resolves when it is dead. */
  kill(): Promise<void>;
  /** Whether the sandbox still lives; asked after every exit code but 0. */
  alive(): Promise<boolean>;
  /** Bytes of output after which a command is killed. */
  readonly outputBudget: number;
}

export interface Run extends Pick<ExecOptions, 'timeoutMs' | 'signal' | 'outputLimit'> {
  readonly call: Omit<ExecCall, 'user' | 'stdin'>;
  readonly stdin: ExecOptions['stdin'] | undefined;
  readonly onOutput?: ExecOptions['onOutput'] | undefined;
  /** Takes stdout with backpressure instead of its being kept; such a command has no output budget. */
  readonly onStdout?: ((bytes: Buffer) => Promise<void>) | undefined;
}

/** A command that is stopped for one of these reasons is killed with all it started. */
type Stop = 'timed_out' | 'aborted' | 'flooded' | 'broken';

/** The first `limit` bytes of a stream. */
class Prefix {
  readonly #kept: Buffer[] = [];
  #left: number;
  constructor(limit: number) {
    this.#left = limit;
  }
  /** The part of the bytes that still fitted. */
  add(bytes: Buffer): Buffer {
    const fits = Buffer.from(bytes.subarray(0, this.#left));
    if (fits.length > 0) this.#kept.push(fits);
    this.#left -= fits.length;
    return fits;
  }
  get bytes(): Buffer {
    return Buffer.concat(this.#kept);
  }
}

/** Everything that is known of a command's output; memory stays within a few times the limit. */
class Output {
  readonly stdout: Prefix;
  readonly stderr: Prefix;
  readonly both: CappedOutput;
  readonly #live: Prefix;
  readonly #digest: Hash = createHash('sha256');
  #total = 0;

  constructor(limit: number) {
    this.stdout = new Prefix(limit);
    this.stderr = new Prefix(limit);
    this.#live = new Prefix(limit);
    this.both = new CappedOutput(limit);
  }

  /** Bytes so far. */
  get total(): number {
    return this.#total;
  }

  count(bytes: Buffer): void {
    this.#digest.update(bytes);
    this.#total += bytes.length;
  }

  keep({ from, bytes }: Frame, onOutput: ExecOptions['onOutput']): void {
    this[from].add(bytes);
    this.both.add(bytes);
    if (onOutput === undefined) return;
    const live = this.#live.add(bytes);
    if (live.length > 0) onOutput(live);
  }

  result(end: ExecResult['end'], exitCode: number | null, ms: number, note = ''): ExecResult {
    return {
      end,
      exitCode,
      stdout: this.stdout.bytes,
      stderr: this.stderr.bytes,
      output: this.both.text() + note,
      truncated: this.both.cut > 0,
      outputDigest: this.#digest.digest('hex'),
      ms,
    };
  }
}

/** Runs a command to its end, however that comes; see `ExecResult.end`. @throws what `stdin` or `onStdout` throws, and CoatcheckError `engine_unreachable`. */
export async function runCommand(ground: Ground, run: Run): Promise<ExecResult> {
  const started = performance.now();
  const output = new Output(run.outputLimit);
  const done = (end: ExecResult['end'], code: number | null = null, note = '') =>
    output.result(end, code, performance.now() - started, note);
  if (run.signal.aborted) return done('aborted');

  let channel: ExecChannel;
  try {
    channel = await ground.open({ ...run.call, stdin: run.stdin !== undefined });
  } catch (thrown) {
    if (thrown instanceof NotRunning) return done('sandbox_died');
    throw thrown;
  }
  const { promise: stopped, resolve: stop } = Promise.withResolvers<Stop>();
  const onAbort = () => stop('aborted');
  run.signal.addEventListener('abort', onAbort, { once: true });
  if (run.signal.aborted) onAbort();
  const timer = setTimeout(stop, run.timeoutMs, 'timed_out');
  let broken: unknown = null;
  const breakOff = (thrown: unknown) => {
    broken = thrown;
    stop('broken');
  };
  if (run.stdin !== undefined) void feed(channel.socket, run.stdin, breakOff);
  const drained = drain(channel.socket, output, run, ground.outputBudget, () => stop('flooded')).catch(breakOff);
  try {
    const first = await Promise.race([drained.then(() => 'ended' as const), stopped, ground.died.then(() => 'died' as const)]);
    if (broken !== null) {
      await killAll(ground, drained);
      throw broken;
    }
    if (first === 'died') return done('sandbox_died');
    if (first !== 'ended') await killAll(ground, drained);
    if (first === 'flooded') return done('exited', 137, `\n[killed after ${output.total} bytes of output]\n`);
    if (first === 'timed_out' || first === 'aborted') return done(first);
    const code = await channel.exitCode();
    if (code === 0) return done('exited', code);
    // A dying sandbox first ends its commands, with whatever code.
    if (code === null || !(await ground.alive())) return done('sandbox_died');
    if (code === NOT_STARTED && output.both.text().startsWith(RUNTIME_FAILURE)) {
      const died = ground.died.then(() => true);
      if (await Promise.race([died, delay(DEATH_NOTED_MS, false, { ref: false })])) return done('sandbox_died');
    }
    // The wrapper was killed, or so was the command: it is not known here, and a killed wrapper could not clean up.
    if (code >= 128 && !(await ground.reap())) await ground.kill();
    return done('exited', code);
  } finally {
    clearTimeout(timer);
    run.signal.removeEventListener('abort', onAbort);
    channel.socket.destroy();
  }
}

/** Kills the command with all it started; a guest that does not answer is killed as a whole. */
async function killAll(ground: Ground, drained: Promise<unknown>): Promise<void> {
  const answered = await ground.reap();
  const ended = answered && (await Promise.race([drained.then(() => true), delay(DRAIN_MS, false, { ref: false })]));
  if (!ended) await ground.kill();
}

/** Reads the output to its end. The engine's own cut of the connection counts as the end. */
async function drain(socket: Duplex, output: Output, run: Run, budget: number, flooded: () => void): Promise<void> {
  const multiplexed: AsyncIterable<Buffer> = socket;
  const source = frames(untilCut(multiplexed));
  for await (const frame of source) {
    output.count(frame.bytes);
    if (frame.from === 'stdout' && run.onStdout !== undefined) await run.onStdout(frame.bytes);
    else output.keep(frame, run.onOutput);
    if (run.onStdout === undefined && output.total > budget) flooded();
  }
}

async function* untilCut(socket: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  try {
    yield* socket;
  } catch {
    // The connection was cut: the sandbox died, or we destroyed it. Who asks finds out why.
  }
}

/** Feeds stdin and half-closes it. A command that stops reading is no error; a source that fails is. */
async function feed(socket: Duplex, stdin: Readable | Buffer, failed: (thrown: unknown) => void): Promise<void> {
  if (Buffer.isBuffer(stdin)) {
    socket.end(stdin);
    return;
  }
  let sourceError: unknown = null;
  stdin.once('error', (error) => {
    sourceError = error;
  });
  try {
    await pipeline(stdin, socket);
  } catch {
    if (sourceError !== null) failed(sourceError);
  }
}
