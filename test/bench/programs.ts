import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync } from 'node:fs';
import { connect, createServer, type NetConnectOpts } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** Debian's number of `nobody`: what a bench starts has no rights that its subject has not. */
const NOBODY = 65534;
const READY_MS = 15_000;
const PLACES = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** The path of a program, or null. Servers lie in directories that are not on everybody's PATH. */
export function find(program: string): string | null {
  return PLACES.map((place) => `${place}/${program}`).find((path) => existsSync(path)) ?? null;
}

/** @throws Error naming a program that is not there; `lacks` of a bench asks before. */
export function needed(program: string): string {
  const path = find(program);
  if (path === null) throw new Error(`${program} is not installed`);
  return path;
}

/** Lets `nobody` write there; nothing where this process is not root and everything runs as its user. */
export function giveToNobody(path: string): void {
  if (process.getuid?.() === 0) chownSync(path, NOBODY, NOBODY);
}

export const asNobody = (): { uid: number; gid: number } | object =>
  process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};

export interface Running extends AsyncDisposable {
  readonly pid: number;
}

/** Starts a server in the foreground, unprivileged; resolves once it accepts connections. @throws Error with what it said. */
export async function serve(command: string, args: readonly string[], at: NetConnectOpts): Promise<Running> {
  const child = spawn(command, args, { ...asNobody(), cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  const hear = (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000);
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  const deadline = performance.now() + READY_MS;
  while (!(await accepts(at))) {
    if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline) {
      await end(child);
      throw new Error(`${command} does not start: ${said.trim()}`);
    }
    await delay(20);
  }
  return { pid: child.pid ?? 0, [Symbol.asyncDispose]: () => end(child) };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 3000);
  await ended;
  clearTimeout(timer);
}

function accepts(at: NetConnectOpts): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(at);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** A port of 127.0.0.1 that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** The installed version of a Debian package. */
export const version = (name: string): string =>
  `${name} ${execFileSync('dpkg-query', ['-W', '-f', '$' + '{Version}', name], { encoding: 'utf8' })}`;
