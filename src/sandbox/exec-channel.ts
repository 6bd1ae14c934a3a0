import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type Docker from 'dockerode';
import { errorText } from '../errors.ts';
import { type Engine, statusOf } from './engine.ts';
import { frames } from './frames.ts';
import { MARK_VARIABLE, markArgument } from './witness/marks.ts';

export interface ExecCall {
  /** `uid:gid`. */
  readonly user: string;
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Whether the command's stdin is the channel; else it is /dev/null. */
  readonly stdin: boolean;
}

/** One started exec: its multiplexed output comes out of `socket`, its stdin goes in. */
export interface ExecChannel {
  readonly socket: Duplex;
  /** The exit code once the output has ended; null when the engine never learns it. */
  exitCode(): Promise<number | null>;
}

/** Thrown when the container no longer takes execs: it is stopped, being removed, or gone. */
export class NotRunning extends Error {}

/** The engine notes an exit a moment after the output's end. */
const EXIT_NOTED_MS = 5000;

/** Starts a command in a container. @throws NotRunning, or CoatcheckError `engine_unreachable`. */
export async function openExec(engine: Engine, container: Docker.Container, call: ExecCall): Promise<ExecChannel> {
  try {
    const exec = await engine.call('prepare a command', (abortSignal) =>
      container.exec({
        User: call.user,
        Cmd: [...call.command],
        WorkingDir: call.cwd,
        Env: Object.entries(call.env).map(([name, value]) => `${name}=${value}`),
        AttachStdin: call.stdin,
        AttachStdout: true,
        AttachStderr: true,
        Tty: false,
        abortSignal,
      }),
    );
    // No signal here: it would cut the stream when the limit for the answer has passed.
    const socket = await engine.call('start a command', () => exec.start({ hijack: true, stdin: call.stdin }));
    socket.on('error', () => {});
    return { socket, exitCode: () => exitCode(engine, exec) };
  } catch (thrown) {
    if (isNotRunning(thrown)) throw new NotRunning('The container does not run.', { cause: thrown });
    throw thrown;
  }
}

/** An engine may tell it as an error of its own when the container ends between preparing and starting a command. */
function isNotRunning(thrown: unknown): boolean {
  const status = statusOf(thrown);
  if (status === 404 || status === 409) return true;
  // The client puts “container not running - ” before every 500; only what the engine itself said, after it, counts.
  return status === 500 && / - .*(?:not running|no such container)/i.test(errorText(thrown));
}

async function exitCode(engine: Engine, exec: Docker.Exec): Promise<number | null> {
  const until = performance.now() + EXIT_NOTED_MS;
  try {
    while (performance.now() < until) {
      const { Running, ExitCode } = await engine.call('tell an exit code', (abortSignal) => exec.inspect({ abortSignal }));
      if (!Running) return ExitCode;
      await delay(20);
    }
  } catch (thrown) {
    if (statusOf(thrown) === null) throw thrown;
  }
  return null;
}

/**
 * Runs a short shell script of our own and gives its exit code and stdout (first 64 KiB); null when it did not end within
 * `ms` milliseconds or the sandbox is gone.
 * @param mark by which the kernel's account knows it for ours
 */
export async function runOwn(
  engine: Engine,
  container: Docker.Container,
  { user, script, mark, stdin, ms }: { user: string; script: string; mark: string; stdin?: string; ms: number },
): Promise<{ code: number | null; stdout: string } | null> {
  try {
    const command = ['/bin/sh', '-c', script, markArgument(mark)];
    const env = { [MARK_VARIABLE]: mark };
    const channel = await openExec(engine, container, { user, command, cwd: '/', env, stdin: stdin !== undefined });
    if (stdin !== undefined) channel.socket.end(stdin);
    const limit = setTimeout(() => channel.socket.destroy(), ms);
    let stdout = '';
    try {
      for await (const { from, bytes } of frames(channel.socket)) {
        if (from === 'stdout' && stdout.length < 65_536) stdout += bytes.toString('utf8');
      }
    } catch {
      return null;
    } finally {
      clearTimeout(limit);
      channel.socket.destroy();
    }
    return { code: await channel.exitCode(), stdout };
  } catch (thrown) {
    if (thrown instanceof NotRunning) return null;
    throw thrown;
  }
}
