import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type Docker from 'dockerode';
import { CoatcheckError, errorText } from '../errors.ts';
import { AGENT } from './container-options.ts';
import { type DeathWatch, watchDeath } from './death.ts';
import type { WorkDisk } from './disk.ts';
import { type Engine, statusOf } from './engine.ts';
import { openExec } from './exec-channel.ts';
import { watchMemory } from './memory-watch.ts';
import { killBelow } from './orphans.ts';
import { processStarted } from './owner.ts';
import { type CommandLimits, reap, reapKept, wrapped } from './reaping.ts';
import { removeContainer } from './removal.ts';
import { type Ground, type Run, runCommand } from './run-command.ts';
import {
  type CauseOfDeath,
  type ExecOptions,
  type ExecResult,
  type KernelSummary,
  type Sandbox,
  type SandboxFacts,
  WORK_TREE,
} from './sandbox.ts';
import { writeTrust } from './trust.ts';
import { type Follower, followLog } from './witness/follow.ts';
import type { Witness } from './witness/open-witness.ts';

/** Bytes of stderr kept of a command whose stdout is a stream. */
const STREAM_ERRORS = 64 * 1024;
/** How long the engine may take to kill a sandbox, and then to notice. Usually 0.2 to 0.7 s. */
const KILL_MS = 3000;

export interface DockerSandboxParts {
  readonly engine: Engine;
  readonly container: Docker.Container;
  /** Where the work tree is; null when it is in memory. */
  readonly disk: WorkDisk | null;
  /** The sandbox's process on the host. */
  readonly pid: number;
  readonly facts: SandboxFacts;
  readonly limits: CommandLimits;
  readonly outputBudget: number;
  /** Marks of the commands that run in it, and the kernel's log where there is one. */
  readonly witness: Witness;
  /** Bytes of disk that the log may hold. */
  readonly logQuota?: number | undefined;
  readonly log: (line: string) => void;
  readonly onClosed: () => void;
}

/** A started container as a `Sandbox`. Commands run one after another, but for those with `keep`. */
export class DockerSandbox implements Sandbox {
  readonly id: string;
  readonly facts: SandboxFacts;
  readonly workDisk?: string;
  readonly died: Promise<CauseOfDeath>;
  readonly kernel: Promise<KernelSummary | null>;
  readonly #parts: DockerSandboxParts;
  readonly #death: DeathWatch;
  readonly #memory: ReturnType<typeof watchMemory>;
  /** Start time of the sandbox's process; null when the engine's processes are not seen from here. */
  readonly #started: string | null;
  readonly #follower: Follower | null;
  #turn: Promise<unknown> = Promise.resolve();
  #commands = 0;
  #dead = false;
  #trust: Readonly<Record<string, string>> = {};
  #closing: Promise<void> | null = null;

  constructor(parts: DockerSandboxParts) {
    this.#parts = parts;
    this.id = parts.container.id;
    this.facts = parts.facts;
    if (parts.disk !== null) this.workDisk = parts.disk.mount;
    this.#started = processStarted(parts.pid);
    this.#death = watchDeath(parts.engine, parts.container);
    this.died = this.#death.died;
    this.#memory = watchMemory(parts.pid, () => void this.#kill('out_of_memory'));
    if (this.#memory === null) parts.log(`sandbox ${this.id.slice(0, 12)}: its memory counter cannot be read from here`);
    this.#follower = this.#follow(parts.witness);
    this.kernel = this.#follower?.summary ?? Promise.resolve(null);
    void this.died.then(() => {
      this.#dead = true;
      this.#memory?.close();
      void this.#endOfLog();
    });
  }

  async exec(options: ExecOptions): Promise<ExecResult> {
    return await this.#run(options, options);
  }

  stream(options: Omit<ExecOptions, 'outputLimit' | 'onOutput'>): { stdout: PassThrough; done: Promise<ExecResult> } {
    const stdout = new PassThrough();
    // A reader that is not there yet must not turn an early end into an uncaught error; one that reads sees it all the same.
    stdout.on('error', () => {});
    const gone = new AbortController();
    stdout.once('close', () => gone.abort());
    const onStdout = async (bytes: Buffer) => {
      if (stdout.destroyed) return;
      if (!stdout.write(Buffer.from(bytes))) await once(stdout, 'drain', { signal: gone.signal }).catch(() => {});
    };
    const signal = AbortSignal.any([options.signal, gone.signal]);
    const done = this.#run({ ...options, signal }, { outputLimit: STREAM_ERRORS, onStdout }).then(
      (result) => {
        if (result.end === 'exited') stdout.end();
        else stdout.destroy(new CoatcheckError('stream_cut', `The stream from the sandbox was cut: ${result.end}.`, ''));
        return result;
      },
      (thrown: unknown) => {
        stdout.destroy(thrown instanceof Error ? thrown : new Error(errorText(thrown)));
        throw thrown;
      },
    );
    done.catch(() => {});
    return { stdout, done };
  }

  async trust(authority: string): Promise<void> {
    const { engine, container, witness } = this.#parts;
    this.#trust = await writeTrust(engine, container, authority, witness.marks.issue(0));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close().catch((thrown: unknown) => {
      this.#closing = null;
      throw thrown;
    });
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#death.expect('closed');
    this.#memory?.close();
    const { engine, container, disk } = this.#parts;
    await removeContainer(engine, container);
    this.#death.end();
    await disk?.remove();
    this.#parts.onClosed();
  }

  async #run(options: Omit<ExecOptions, 'outputLimit' | 'onOutput'>, sink: Pick<Run, 'outputLimit' | 'onOutput' | 'onStdout'>) {
    const keep = options.keep === true;
    const { limits, witness } = this.#parts;
    const before = this.#turn;
    const { promise: turn, resolve: release } = Promise.withResolvers<void>();
    if (!keep) {
      this.#turn = Promise.all([before, turn]);
      await Promise.race([before, aborted(options.signal)]);
    }
    try {
      this.#commands += 1;
      const number = this.#commands;
      const mark = witness.marks.issue(number);
      const { command, env } = wrapped({ command: options.command, cwd: options.cwd ?? WORK_TREE, limits }, mark, keep);
      const call = { command, cwd: '/', env: { ...this.#trust, ...options.env, ...env } };
      const { stdin, timeoutMs, signal } = options;
      const { outputLimit, onOutput, onStdout } = sink;
      const ground = this.#ground(keep ? mark : null);
      return await runCommand(ground, { number, call, stdin, timeoutMs, signal, outputLimit, onOutput, onStdout });
    } finally {
      release();
    }
  }

  /** @param kept the mark of a command that keeps what it leaves running, null for any other. */
  #ground(kept: string | null): Ground {
    const { engine, container, outputBudget, witness } = this.#parts;
    const { marks } = witness;
    return {
      open: (call) => openExec(engine, container, { ...call, user: AGENT }),
      died: this.died,
      reap: () => (kept === null ? reap(engine, container, marks) : reapKept(engine, container, kept, marks)),
      kill: () => this.#kill('killed'),
      alive: () => this.#alive(),
      outputBudget,
    };
  }

  #follow({ log, marks, onKernel }: Witness): Follower | null {
    if (log === null) return null;
    const onLost = (why: string) => {
      this.#parts.log(`sandbox ${this.id.slice(0, 12)} is ended: ${why}`);
      void this.#kill('killed');
    };
    return followLog(log, { marks, onKernel, onLost, quota: this.#parts.logQuota });
  }

  /** The log is whole once its writer is gone; the engine may say so before it is. */
  async #endOfLog(): Promise<void> {
    const until = performance.now() + KILL_MS;
    while (this.#started !== null && processStarted(this.#parts.pid) === this.#started && performance.now() < until) {
      await delay(20);
    }
    this.#follower?.end();
  }

  async #alive(): Promise<boolean> {
    if (this.#dead || this.#closing !== null || this.#memory?.check() === true) return false;
    // The engine hears of a death later than the host's kernel does.
    if (this.#started !== null && processStarted(this.#parts.pid) !== this.#started) return false;
    try {
      const { State } = await this.#parts.engine.call('tell whether a sandbox lives', (abortSignal) =>
        this.#parts.container.inspect({ abortSignal }),
      );
      return State.Running;
    } catch (thrown) {
      if (statusOf(thrown) === null) throw thrown;
      return false;
    }
  }

  async #kill(cause: CauseOfDeath): Promise<void> {
    this.#death.expect(cause);
    const { engine, container, log } = this.#parts;
    try {
      await engine.call('kill a sandbox', (abortSignal) => container.kill({ abortSignal }), { ms: KILL_MS });
    } catch (thrown) {
      // 404 and 409: it is dead already.
      if (statusOf(thrown) === null) log(`sandbox ${this.id.slice(0, 12)}: ${errorText(thrown)}`);
      await killBelow(container.id);
    }
    await Promise.race([this.died, delay(KILL_MS, undefined, { ref: false })]);
  }
}

/** Resolves when the signal ends, at once when it has. */
async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}
