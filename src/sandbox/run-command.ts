import type { Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { CommandOutput } from './command-output.ts';
import { type ExecCall, type ExecChannel, NotRunning } from './exec-channel.ts';
import { frames } from './frames.ts';
import type { ExecOptions, ExecResult } from './sandbox.ts';

/** How long a guest may take to kill its processes before it counts as hung. Usually 0.1 s, under a fork bomb 2 s. */
const ANSWER_MS = 6000;
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
  /** Its number in the sandbox. */
  readonly number: number;
  readonly call: Omit<ExecCall, 'user' | 'stdin'>;
  readonly stdin: ExecOptions['stdin'] | undefined;
  readonly onOutput?: ExecOptions['onOutput'] | undefined;
  /** Takes stdout with backpressure instead of its being kept; such a command has no output budget. */
  readonly onStdout?: ((bytes: Buffer) => Promise<void>) | undefined;
}

/**
 * Runs a command to its end, however that comes; see `ExecResult.end`.
 * @throws what `stdin` or `onStdout` throws, and CoatcheckError `engine_unreachable`.
 */
export async function runCommand(ground: Ground, run: Run): Promise<ExecResult> {
  const started = performance.now();
  const output = new CommandOutput(run.outputLimit, run.number);
  const done = ({ end, exitCode = null, note = '' }: Ending) => output.result(end, exitCode, performance.now() - started, note);
  if (run.signal.aborted) return done({ end: 'aborted' });
  let channel: ExecChannel;
  try {
    channel = await ground.open({ ...run.call, stdin: run.stdin !== undefined });
  } catch (thrown) {
    if (thrown instanceof NotRunning) return done({ end: 'sandbox_died' });
    throw thrown;
  }
  const stop = stopper(run);
  if (run.stdin !== undefined) void feed(channel.socket, run.stdin, stop.because);
  const drained = drain(channel.socket, output, run, ground.outputBudget, stop).catch(stop.because);
  try {
    const ended = drained.then(() => 'ended' as const);
    const died = ground.died.then(() => 'died' as const);
    // What stopped it is looked at first: an output that broke off has also ended.
    const first = await Promise.race([stop.promise, ended.then(() => stop.reason() ?? 'ended'), died]);
    if (first === 'died') return done({ end: 'sandbox_died' });
    if (first === 'ended') return done(await exitOf(ground, channel, output));
    await killAll(ground, drained);
    if (first === 'flooded') {
      return done({ end: 'exited', exitCode: 137, note: `\n[killed after ${output.total} bytes of output]\n` });
    }
    if (first === 'timed_out' || first === 'aborted') return done({ end: first });
    throw first.thrown;
  } finally {
    stop.close();
    channel.socket.destroy();
  }
}

interface Ending {
  readonly end: ExecResult['end'];
  readonly exitCode?: number | null;
  readonly note?: string;
}

/** Why a command is stopped before its end; it is then killed with all it started. `thrown`: its input or its reader failed. */
type Stop = 'timed_out' | 'aborted' | 'flooded' | { readonly thrown: unknown };

/** Waits for a reason to stop a command; the first one counts. */
function stopper({ timeoutMs, signal }: Run) {
  const { promise, resolve } = Promise.withResolvers<Stop>();
  let reason: Stop | null = null;
  const stop = (why: Stop) => {
    reason ??= why;
    resolve(reason);
  };
  const onAbort = () => stop('aborted');
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const timer = setTimeout(stop, timeoutMs, 'timed_out');
  return {
    promise,
    reason: () => reason,
    flooded: () => stop('flooded'),
    because: (thrown: unknown) => stop({ thrown }),
    close() {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    },
  };
}

/** What the end of the output means: an exit, or the sandbox's death, which first ends its commands with whatever code. */
async function exitOf(ground: Ground, channel: ExecChannel, output: CommandOutput): Promise<Ending> {
  const exitCode = await channel.exitCode();
  if (exitCode === 0) return { end: 'exited', exitCode };
  if (exitCode === null || !(await ground.alive())) return { end: 'sandbox_died' };
  if (exitCode === NOT_STARTED && output.both.text().startsWith(RUNTIME_FAILURE)) {
    const died = ground.died.then(() => true);
    if (await Promise.race([died, delay(DEATH_NOTED_MS, false, { ref: false })])) return { end: 'sandbox_died' };
  }
  if (exitCode < 128 || (await ground.reap())) return { end: 'exited', exitCode };
  // Killed was the command, the wrapper, which then could not clean up, or, as nothing answers any more, the whole sandbox.
  await ground.kill();
  return { end: 'sandbox_died' };
}

/** Kills the command with all it started; a guest that does not answer is killed as a whole. */
async function killAll(ground: Ground, drained: Promise<unknown>): Promise<void> {
  try {
    const answered = await Promise.race([ground.reap(), delay(ANSWER_MS, false, { ref: false })]);
    const ended = answered && (await Promise.race([drained.then(() => true), delay(DRAIN_MS, false, { ref: false })]));
    if (!ended) await ground.kill();
  } catch (thrown) {
    await ground.kill();
    throw thrown;
  }
}

/** Reads the output to its end. The engine's own cut of the connection counts as the end. */
async function drain(
  socket: Duplex,
  output: CommandOutput,
  run: Run,
  budget: number,
  stop: ReturnType<typeof stopper>,
): Promise<void> {
  const multiplexed: AsyncIterable<Buffer> = socket;
  for await (const frame of frames(untilCut(multiplexed))) {
    output.count(frame.bytes);
    if (frame.from === 'stderr' || run.onStdout === undefined) output.keep(frame, run.onOutput);
    // A reader that is slow must not hold up the end of a command that is stopped: the rest is dropped then.
    else if (stop.reason() === null) await Promise.race([run.onStdout(frame.bytes), stop.promise]);
    if (run.onStdout === undefined && output.total > budget) stop.flooded();
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
