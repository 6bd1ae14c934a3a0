import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import http, { type IncomingMessage, type RequestListener } from 'node:http';
import https from 'node:https';
import { type AddressInfo, connect, isIP, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { createTaskAuthority, type TaskAuthority } from '../../src/door/certificates.ts';
import { DOOR_LIMITS, type Door, type DoorDecision, type DoorOptions } from '../../src/door/door.ts';
import { openDoor } from '../../src/door/open-door.ts';
import { InspectRule } from '../../src/policy/egress.ts';

export interface Teardown {
  after(release: () => void | Promise<void>): void;
}

/** "Outside": counts connections and keeps what it was asked. */
export interface Sink {
  readonly port: number;
  readonly connections: () => number;
  readonly requests: {
    readonly method: string;
    readonly url: string;
    readonly headers: IncomingMessage['headers'];
    readonly body: string;
  }[];
}

export function temporary(t: Teardown): string {
  const directory = mkdtempSync(join(tmpdir(), 'coatcheck-door-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export const outside: TaskAuthority = await createTaskAuthority();

export async function sink(
  t: Teardown,
  listener?: RequestListener,
  place: { tls?: boolean; port?: number; host?: string; path?: string } = {},
): Promise<Sink> {
  let connections = 0;
  const requests: Sink['requests'] = [];
  const handle: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => listener === undefined && chunks.push(chunk));
    request.on('end', () =>
      requests.push({
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      }),
    );
    if (listener !== undefined) listener(request, response);
    else request.on('end', () => response.end('outside'));
  };
  const server =
    place.tls === false
      ? http.createServer(handle)
      : https.createServer(
          { SNICallback: (name, done) => void outside.contextFor(name).then((context) => done(null, context)) },
          handle,
        );
  server.on('connection', () => connections++);
  if (place.path === undefined) server.listen(place.port ?? 0, place.host ?? '127.0.0.1');
  else server.listen(place.path);
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  return { port: isAddress(address) ? address.port : 0, connections: () => connections, requests };
}

const isAddress = (address: AddressInfo | string | null): address is AddressInfo =>
  typeof address === 'object' && address !== null;

export interface Rig {
  readonly door: Door;
  readonly rows: DoorDecision[];
  /** Waits until there are this many rows and gives the last. */
  row(count: number): Promise<DoorDecision>;
}

export async function rig(t: Teardown, change: Partial<DoorOptions> = {}): Promise<Rig> {
  const rows: DoorDecision[] = [];
  const waiting = new Set<() => void>();
  const door = await openDoor({
    directory: temporary(t),
    rules: [],
    gitSocket: null,
    repositories: [],
    github: null,
    credentials: {},
    limits: DOOR_LIMITS,
    authorities: outside.certificate,
    upstreamProxy: null,
    hosts: {},
    signal: new AbortController().signal,
    ...change,
    onDecision: (row) => {
      rows.push(row);
      for (const wake of waiting) wake();
    },
  });
  t.after(() => door.close());
  const row = (count: number) =>
    within(
      `row ${count}; there are ${rows.length}`,
      new Promise<DoorDecision>((resolve) => {
        const look = () => {
          const last = rows[count - 1];
          if (last === undefined) return;
          waiting.delete(look);
          resolve(last);
        };
        waiting.add(look);
        look();
      }),
    );
  return { door, rows, row };
}

/** A rule that lets a test reach loopback. */
export const rule = (host: string, port: number, change: Partial<InspectRule> = {}): InspectRule =>
  InspectRule.parse({
    id: `test:${host.replace('*', 'any')}`,
    host,
    ports: [port],
    privateAddresses: ['127.0.0.0/8'],
    ...change,
  });

/** Rejects when nothing comes within the bound. */
export async function within<T>(what: string, promise: Promise<T>, ms = 10_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing came within ${ms} ms: ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Everything that comes until the other side closes. */
export async function all(socket: Duplex): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => {});
  // A reset is an end too.
  const closed = new Promise<void>((resolve) => (socket.closed ? resolve() : socket.once('close', () => resolve())));
  await within('the end of the connection', closed);
  return Buffer.concat(chunks).toString('latin1');
}

/** Sends bytes on the door's socket as they are. Rejects when there is nobody to connect to. */
export async function raw(door: Door, bytes: string): Promise<string> {
  const socket = connect(door.socket);
  await within('a connection', once(socket, 'connect'));
  // A write of nothing would fail where the door has answered and closed already, and the answer go unread.
  if (bytes !== '') socket.write(bytes, 'latin1');
  return all(socket);
}

/** Opens a tunnel; the answer's status line is in `status`. */
export async function tunnel(door: Door, authority: string): Promise<{ socket: Socket; status: number; text: string }> {
  const socket = connect(door.socket);
  socket.on('error', () => {});
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  const [first]: unknown[] = await within('an answer to CONNECT', once(socket, 'data'));
  const text = String(first);
  return { socket, status: Number(text.split(' ')[1]), text };
}

/** Sends bytes inside TLS inside a tunnel. */
export async function inside(door: Door, authority: string, bytes: string, options: tls.ConnectionOptions = {}): Promise<string> {
  const { socket, status } = await tunnel(door, authority);
  if (status !== 200) throw new Error(`CONNECT was answered ${status}`);
  const servername = authority.replace(/:\d+$/, '');
  const secure = tls.connect({ socket, servername, ca: door.authority, ...options });
  secure.on('error', () => {});
  secure.write(bytes, 'latin1');
  return all(secure);
}

/** A well-formed request through the door, as a client would make it; the answer with its body. */
export async function ask(
  door: Door,
  authority: string,
  path = '/',
  options: https.RequestOptions & { body?: string } = {},
): Promise<{ status: number; headers: IncomingMessage['headers']; body: string }> {
  const { socket, status, text } = await tunnel(door, authority);
  if (status !== 200) return { status, headers: {}, body: text };
  const [host = '', port] = authority.split(':');
  const secure = tls.connect({ socket, host, ...(isIP(host) === 0 ? { servername: host } : {}), ca: door.authority });
  const { body, ...rest } = options;
  const request = http.request({
    host,
    port,
    path,
    ...rest,
    createConnection: () => secure,
    headers: { connection: 'close', ...rest.headers },
  });
  request.end(body);
  const [response]: unknown[] = await within('an answer', once(request, 'response'));
  if (!(response instanceof http.IncomingMessage)) throw new Error('no response');
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(Buffer.from(chunk));
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() };
}

export const statusOf = (text: string): number => Number(text.split(' ')[1]);

/** The caged process that serves a directory, found by what it runs and sees. */
export function cagedProcess(directory: string): number {
  const pid = readdirSync('/proc').find((name) => /^\d+$/.test(name) && servesFrom(name, directory));
  if (pid === undefined) throw new Error('no process serves this directory');
  return Number(pid);
}

function servesFrom(pid: string, directory: string): boolean {
  try {
    return (
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('src/door/process.ts') &&
      !readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('bwrap') &&
      !existsSync(`/proc/${pid}/root/etc/shadow`) &&
      existsSync(`/proc/${pid}/root${directory}/door.sock`)
    );
  } catch {
    return false; // it ended meanwhile
  }
}

/** The child of this process that serves a directory. */
export function doorProcess(directory: string): number {
  const isOurs = (pid: string): boolean => {
    try {
      const parent = /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
      return Number(parent) === process.pid && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(directory);
    } catch {
      return false; // it ended meanwhile
    }
  };
  const pid = readdirSync('/proc').find((name) => /^\d+$/.test(name) && isOurs(name));
  if (pid === undefined) throw new Error('no child serves this directory');
  return Number(pid);
}
