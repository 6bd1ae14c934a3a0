import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, readlink, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CoatcheckError, errorText } from '../errors.ts';
import { ask } from './connection.ts';

export interface EmbeddedRedis {
  /** `unix://…`, for `openQueue`. */
  readonly url: string;
  /** The process that runs now; null while it is being started again. */
  readonly pid: number | null;
  /** Stops it after its data is on disk. Idempotent. */
  close(): Promise<void>;
}

const START_MS = 15_000;
const PID_FILE = 'redis.pid';
/** Linux allows 107 bytes for a socket's path. */
const LONGEST_SOCKET_PATH = 100;

/**
 * Runs redis-server as a child of this process: on a Unix socket that only this user can open, with an append-only
 * file in `directory`. It ends when this process does, however that ends, and is started again when it dies by itself.
 *
 * @throws CoatcheckError `redis_missing`, `redis_in_use` when another process runs one in this directory,
 *   `redis_start_failed` with what it said.
 */
export async function startRedis(options: {
  directory: string;
  signal: AbortSignal;
  log?: (line: string) => void;
}): Promise<EmbeddedRedis> {
  const { signal, log = () => {} } = options;
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const directory = await realpath(options.directory);
  await waitForPredecessor(directory);
  const place = await socketPlace(directory);
  const url = `unix://${encodeURI(place.socket)}`;
  const closing = new AbortController();
  const stop = AbortSignal.any([signal, closing.signal]);
  let server: ChildProcess | null = null;

  const start = async () => {
    const child = launch(configuration(directory, place.socket));
    server = child.process;
    // Our own file: redis-server removes its own before it has quite ended.
    await writeFile(join(directory, PID_FILE), `${child.process.pid ?? ''}\n`, { mode: 0o600 });
    const asking = new AbortController();
    try {
      await Promise.race([untilAnswers(url, AbortSignal.any([stop, asking.signal])), child.failed]);
    } finally {
      // When the child has failed, there is nobody left to ask.
      asking.abort();
    }
  };
  const keep = async () => {
    for (let wait = 100; server !== null; wait = Math.min(wait * 2, 5000)) {
      await ended(server);
      server = null;
      if (stop.aborted) return;
      log('redis-server ended by itself; it is started again');
      await delay(wait, undefined, { signal: stop }).catch(() => {});
      if (stop.aborted) return;
      await start().catch((error: unknown) => log(errorText(error)));
    }
  };

  try {
    await start();
  } catch (thrown) {
    await terminate(server);
    await place.remove();
    throw thrown;
  }
  const kept = keep();
  let closed: Promise<void> | undefined;
  const close = async () => {
    closing.abort();
    await terminate(server);
    await kept;
    // It may have been between two lives.
    await terminate(server);
    await rm(join(directory, PID_FILE), { force: true });
    await place.remove();
  };
  const onAbort = () => {
    closed ??= close();
  };
  signal.addEventListener('abort', onAbort, { once: true });
  return {
    url,
    get pid() {
      return server?.pid ?? null;
    },
    close: () => {
      signal.removeEventListener('abort', onAbort);
      closed ??= close();
      return closed;
    },
  };
}

/** Read by redis-server from its standard input, so that nothing of it stands in a command line. */
const configuration = (directory: string, socket: string) =>
  [
    'port 0',
    `unixsocket "${socket}"`,
    'unixsocketperm 700',
    `dir "${directory}"`,
    'daemonize no',
    'databases 1',
    'appendonly yes',
    'appendfsync everysec',
    'save ""',
    'maxmemory 256mb',
    'maxmemory-policy noeviction',
    '',
  ].join('\n');

/** The child dies with this process even when that is killed: the kernel sends it the signal. */
function launch(config: string): { process: ChildProcess; failed: Promise<never> } {
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', 'redis-server', '-'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: PATHS },
    // Ctrl-C in a terminal reaches a whole process group: this one is still needed while the rest comes to its end.
    detached: true,
  });
  let said = '';
  const listen = (chunk: Buffer) => {
    said = (said + chunk.toString('utf8')).slice(-4000);
  };
  child.stdout.on('data', listen);
  child.stderr.on('data', listen);
  child.stdin.on('error', () => {});
  child.stdin.end(config);
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (cause) => reject(missing('setpriv', cause)));
    child.once('exit', (code) =>
      reject(code === 127 || /No such file/.test(said) ? missing('redis-server', undefined) : startFailed(said)),
    );
  });
  // Looked at only while it starts; later ends are seen by the one who keeps it.
  failed.catch(() => {});
  return { process: child, failed };
}

const PATHS = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const missing = (program: string, cause: unknown) =>
  new CoatcheckError(
    'redis_missing',
    `${program} is not installed.`,
    `Run apt-get install ${program === 'setpriv' ? 'util-linux' : 'redis-server'}, or set REDIS_URL to a Redis that runs elsewhere.`,
    { cause },
  );

const startFailed = (said: string) =>
  new CoatcheckError(
    'redis_start_failed',
    `redis-server did not start: ${said.trim().split('\n').slice(-5).join(' | ')}`,
    'Look at what it says; a damaged append-only file is mended by redis-check-aof --fix.',
  );

async function untilAnswers(url: string, signal: AbortSignal): Promise<void> {
  const late = performance.now() + START_MS;
  while (!signal.aborted) {
    // While it reads its file it answers LOADING, which is not PONG.
    const answer = await ask(url, (redis) => redis.ping()).catch(errorText);
    if (answer === 'PONG') return;
    if (performance.now() > late) throw startFailed(answer);
    await delay(25, undefined, { signal }).catch(() => {});
  }
  throw startFailed('stopped before it was up');
}

/** After a kill of the process before this one, its child is still writing to disk: two on one file would spoil it. */
async function waitForPredecessor(directory: string): Promise<void> {
  const late = performance.now() + START_MS;
  for (let pid = await livePid(directory); pid !== null; pid = await livePid(directory)) {
    if (performance.now() > late) {
      throw new CoatcheckError(
        'redis_in_use',
        `Another process (redis-server ${pid}) works in ${directory}.`,
        'Stop the other coatcheck first, or give this one a data directory of its own.',
      );
    }
    await delay(50);
  }
}

/** The pid that the directory's pid file names, if that process lives and works in this directory. */
async function livePid(directory: string): Promise<number | null> {
  try {
    const pid = Number.parseInt(await readFile(join(directory, PID_FILE), 'utf8'), 10);
    return Number.isSafeInteger(pid) && (await readlink(`/proc/${pid}/cwd`)) === directory ? pid : null;
  } catch {
    return null;
  }
}

async function socketPlace(directory: string): Promise<{ socket: string; remove: () => Promise<void> }> {
  const socket = join(directory, 'redis.sock');
  if (Buffer.byteLength(socket) <= LONGEST_SOCKET_PATH)
    return { socket, remove: () => rm(socket, { force: true, recursive: true }) };
  const short = await mkdtemp(join(tmpdir(), 'coatcheck-redis-'));
  return { socket: join(short, 'redis.sock'), remove: () => rm(short, { recursive: true, force: true }) };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) await once(child, 'exit');
}

async function terminate(child: ChildProcess | null): Promise<void> {
  if (child === null) return;
  child.kill('SIGTERM');
  // A stopped process does not see TERM.
  const force = setTimeout(() => child.kill('SIGKILL'), 5000);
  await ended(child);
  clearTimeout(force);
}
