import type { ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NODE_CODE_RANGE_BYTES } from '../cage/cage.ts';
import { giveToCage } from '../cage/run-in-cage.ts';
import { startCage } from '../cage/start-cage.ts';
import { CoatcheckError, errorText } from '../errors.ts';
import { checkCredentials } from './credentials.ts';
import { DOOR_TIMINGS, type Door, type DoorOptions, type DoorState } from './door.ts';
import { readLines } from './lines.ts';
import { type DoorCommand, type DoorConfiguration, DoorReport, LINE_LIMIT } from './protocol.ts';

const MiB = 1024 * 1024;
const MEMORY_BYTES = 256 * MiB;
/**
 * What passes is many short-lived buffers outside the heap, whose garbage costs more than the passing itself when it is
 * collected as Node does by default: helper threads woken for each collection, and marking begun anew every few
 * megabytes. A small young generation, collected on the spot, gives them back early: half the processor time.
 */
const HEAP = [
  '--max-old-space-size=128',
  '--max-semi-space-size=1',
  '--single-threaded-gc',
  '--no-incremental-marking',
  '--expose-gc', // for garbage.ts
];
/** A door lives as long as its task; a spinning one is bounded all the same. */
const CPU_SECONDS = 4 * 3600;
const START_MS = 20_000;
const CLOSE_MS = 5_000;
/** One user number per door: the kernel counts processes by user, so one door cannot use up another's share. */
const FIRST_UID = 0x7000_0000;
const UIDS = 0x0010_0000;

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SEEN = ['src/door', 'src/policy', 'src/task', 'src/errors.ts', 'node_modules', 'package.json'].map((path) =>
  join(ROOT, path),
);

/**
 * Opens the one way out of a sandbox: a caged process behind `directory/door.sock`. It starts `shut`.
 * When its process dies nothing passes any more, and `died` settles.
 * @throws CoatcheckError `cage_unavailable`, `door_failed`, `credential_misplaced`.
 */
export async function openDoor(options: DoorOptions): Promise<Door> {
  options.signal.throwIfAborted();
  checkCredentials(options.rules, options.credentials);
  const socket = join(options.directory, 'door.sock');
  const { directory, gitSocket } = options;
  const gitSockets = [...(gitSocket === null ? [] : [gitSocket]), ...options.repositories.map((each) => each.socket)];
  const kill = new AbortController();
  const uid = FIRST_UID + randomInt(UIDS);
  giveToCage(directory, uid);
  // The sandbox's users pass through; only the door writes.
  await chmod(directory, 0o755);
  const child = startCage({
    command: [process.execPath, ...HEAP, join(ROOT, 'src/door/process.ts')],
    readOnly: [process.execPath, ...SEEN, ...gitSockets],
    writable: [directory],
    cwd: '/tmp',
    env: {},
    network: 'host',
    memoryBytes: MEMORY_BYTES + NODE_CODE_RANGE_BYTES,
    fileBytes: MiB,
    cpuSeconds: CPU_SECONDS,
    uid,
    signal: kill.signal,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const running = new DoorProcess(child, socket, options, kill);
  await running.ready({
    socket,
    gitSocket,
    rules: [...options.rules],
    repositories: [...options.repositories],
    github: options.github,
    credentials: { ...options.credentials },
    limits: options.limits,
    timings: { ...DOOR_TIMINGS, ...options.timings },
    authorities: options.authorities,
    upstreamProxy: options.upstreamProxy,
    hosts: { ...options.hosts },
  });
  return running;
}

class DoorProcess implements Door {
  readonly socket: string;
  readonly died: Promise<void>;
  authority = '';
  readonly #child: ChildProcess;
  readonly #options: DoorOptions;
  readonly #kill: AbortController;
  readonly #waiting = new Map<number, () => void>();
  #started: (() => void) | null = null;
  #nextDecision = 0;
  #nextSet = 0;
  #closing: Promise<void> | null = null;
  #gone = false;
  /** What the process last said on stderr, for an error text. */
  #lastWords = '';

  constructor(child: ChildProcess, socket: string, options: DoorOptions, kill: AbortController) {
    this.socket = socket;
    this.#child = child;
    this.#options = options;
    this.#kill = kill;
    child.stdin?.on('error', () => {}); // its end is seen by `died`
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#lastWords = (this.#lastWords + chunk.toString()).slice(-2000);
    });
    if (child.stdout !== null)
      readLines(
        child.stdout,
        LINE_LIMIT,
        (line) => this.#hear(line),
        () => kill.abort(),
      );
    this.died = new Promise((resolve) => {
      const end = () => {
        this.#gone = true;
        options.signal.removeEventListener('abort', onAbort);
        for (const settle of this.#waiting.values()) settle();
        rm(socket, { force: true }).then(resolve, () => resolve());
      };
      child.once('close', end);
      child.once('error', end);
    });
    const onAbort = () => void this.close();
    options.signal.addEventListener('abort', onAbort, { once: true });
  }

  /** Configures the process and waits until it listens. @throws CoatcheckError `door_failed` */
  async ready(configuration: DoorConfiguration): Promise<void> {
    const timer = setTimeout(() => this.#kill.abort(), START_MS);
    const listening = new Promise<void>((resolve) => {
      this.#started = resolve;
    });
    this.#send(configuration);
    await Promise.race([listening, this.died]);
    clearTimeout(timer);
    if (this.authority !== '' && !this.#gone) return;
    throw new CoatcheckError(
      'door_failed',
      'The door could not be opened.',
      `Its process said: ${this.#lastWords.trim() || 'nothing'}`,
    );
  }

  async set(state: DoorState): Promise<void> {
    const id = this.#nextSet++;
    const inForce = new Promise<void>((resolve) => this.#waiting.set(id, resolve));
    if (!this.#gone) {
      this.#send({ command: 'set', id, state });
      await inForce;
    }
    this.#waiting.delete(id);
    if (this.#gone)
      throw new CoatcheckError(
        'door_died',
        `The door's process is gone. ${this.#lastWords.trim()}`.trim(),
        'Nothing passes any more; start another attempt.',
      );
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const timer = setTimeout(() => this.#kill.abort(), CLOSE_MS);
    if (!this.#gone) this.#send({ command: 'close' });
    await this.died;
    clearTimeout(timer);
  }

  #send(message: DoorConfiguration | DoorCommand): void {
    this.#child.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  #hear(line: string): void {
    try {
      this.#take(DoorReport.parse(JSON.parse(line)));
    } catch (error) {
      // A process that handles hostile bytes and no longer keeps to the protocol is not to be reasoned with.
      this.#lastWords = `The door's report was not understood: ${errorText(error).slice(0, 500)}`;
      this.#kill.abort();
    }
  }

  #take(message: DoorReport): void {
    if (message.report === 'ready') {
      this.authority = message.authority;
      this.#started?.();
    } else if (message.report === 'in_force') {
      this.#waiting.get(message.id)?.();
    } else if (message.report === 'decision') {
      if (message.decision.n !== this.#nextDecision)
        throw new Error(`row ${message.decision.n} came where ${this.#nextDecision} was due`);
      this.#nextDecision++;
      this.#options.onDecision(message.decision);
    }
  }
}
