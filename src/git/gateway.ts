import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { startCage } from '../cage/start-cage.ts';
import { gitEnvironment } from './environment.ts';
import type { Mirror } from './mirror.ts';

const MiB = 1024 * 1024;

/** Requests of one sandbox served at once; the rest is told to come back. */
const AT_ONCE = 4;
/** A fetch's request lists what the client has and wants: some 50 bytes a commit. */
const REQUEST_BYTES = 16 * MiB;
const MEMORY_BYTES = 1024 * MiB;
const CPU_SECONDS = 600;

export interface GatewayOptions {
  /** Path of the Unix socket to listen on. Anyone who reaches it may read the mirror: its directory keeps others out. */
  readonly socket: string;
  /** `owner/name`, the only repository that is answered for. */
  readonly repository: string;
  readonly signal: AbortSignal;
}

export interface Gateway extends AsyncDisposable {
  readonly socket: string;
  /** Stops listening, kills what still runs, removes the socket. Idempotent. */
  close(): Promise<void>;
}

/**
 * Serves one mirror over git's smart HTTP, for reading: `GET …/info/refs?service=git-upload-pack` and
 * `POST …/git-upload-pack` (git-scm.com/docs/http-protocol), nothing else; branches and tags are shown, other refs not.
 *
 * The request's body is written by the sandbox: it is unzipped and read by upload-pack in a cage, which sees the mirror
 * read-only and has no network.
 */
export async function serveUploadPack(mirror: Mirror, options: GatewayOptions): Promise<Gateway> {
  const running = new Set<ChildProcess>();
  const server = createServer((request, response) => {
    answer(mirror, options, running, request, response);
  });
  server.requestTimeout = 5 * 60_000;
  server.headersTimeout = 10_000;
  const close = once_(() => shut(server, running, options.socket));
  const onAbort = (): void => void close();
  server.listen(options.socket);
  await once(server, 'listening', { signal: options.signal });
  await chmod(options.socket, 0o666); // the door runs as another user
  options.signal.addEventListener('abort', onAbort, { once: true });
  return { socket: options.socket, close, [Symbol.asyncDispose]: close };
}

/** The same promise for every call. */
function once_(work: () => Promise<void>): () => Promise<void> {
  let promise: Promise<void> | null = null;
  return () => (promise ??= work());
}

async function shut(server: Server, running: Set<ChildProcess>, socket: string): Promise<void> {
  const ends = [...running].map((child) => once(child, 'close'));
  for (const child of running) child.kill('SIGKILL');
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await Promise.all([closed, ...ends]);
  await rm(socket, { force: true });
}

type Service = { readonly kind: 'refs' } | { readonly kind: 'pack'; readonly gzip: boolean };

function answer(
  mirror: Mirror,
  options: GatewayOptions,
  running: Set<ChildProcess>,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const service = serviceOf(request, options.repository);
  if (typeof service === 'number') refuse(response, service);
  else if (running.size >= AT_ONCE) refuse(response, 503);
  else serve(mirror, options, running, request, response, service);
}

function serve(
  mirror: Mirror,
  options: GatewayOptions,
  running: Set<ChildProcess>,
  request: IncomingMessage,
  response: ServerResponse,
  service: Service,
): void {
  const child = uploadPack(mirror, service, protocolOf(request), options.signal);
  running.add(child);
  child.once('close', () => running.delete(child));
  child.once('error', () => response.destroy());
  // A client that has gone away leaves no process behind ('close' follows a complete answer too); unread output would
  // keep the child from being told closed.
  response.once('close', () => {
    child.kill('SIGKILL');
    child.stdin?.destroy();
    child.stdout?.destroy();
  });
  response.writeHead(200, {
    'content-type': `application/x-git-upload-pack-${service.kind === 'refs' ? 'advertisement' : 'result'}`,
    'cache-control': 'no-cache',
  });
  response.flushHeaders();
  if (service.kind === 'refs') response.write(protocolOf(request) === 'version=2' ? '' : '001e# service=git-upload-pack\n0000');
  pipeThrough(request, child, response);
}

function pipeThrough(request: IncomingMessage, child: ChildProcess, response: ServerResponse): void {
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('A cage was started without pipes.');
  stdin.on('error', () => {}); // upload-pack may end before it has read everything
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > REQUEST_BYTES) child.kill('SIGKILL');
  });
  request.once('error', () => child.kill('SIGKILL'));
  request.pipe(stdin);
  stdout.pipe(response, { end: false });
  // A failed upload-pack cuts the connection: a short answer must not look whole.
  child.once('close', (code) => {
    if (code === 0) response.end();
    else response.destroy();
  });
}

/** What is asked for, or the status of the refusal. */
function serviceOf(request: IncomingMessage, repository: string): Service | 400 | 403 | 404 {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  const prefix = `/${repository}.git/`;
  if (!path.toLowerCase().startsWith(prefix.toLowerCase())) return 404;
  const rest = path.slice(prefix.length);
  if (rest === 'git-receive-pack' || query.includes('git-receive-pack')) return 403;
  if (request.method === 'GET' && rest === 'info/refs' && query === 'service=git-upload-pack') return { kind: 'refs' };
  if (request.method !== 'POST' || rest !== 'git-upload-pack' || query !== '') return 404;
  const encoding = request.headers['content-encoding'] ?? 'identity';
  return encoding === 'identity' || encoding === 'gzip' || encoding === 'x-gzip'
    ? { kind: 'pack', gzip: encoding !== 'identity' }
    : 400;
}

/** Only version 2 is told apart; whatever else a client asks for gets the oldest protocol. */
const protocolOf = (request: IncomingMessage): 'version=2' | 'version=0' =>
  request.headers['git-protocol'] === 'version=2' ? 'version=2' : 'version=0';

function refuse(response: ServerResponse, status: 400 | 403 | 404 | 503): void {
  // Read on: closing while the client still sends would reset the connection before it has seen the answer.
  response.req.resume();
  response.writeHead(status, {
    'content-type': 'text/plain',
    ...(status === 503 ? { 'retry-after': '5' } : {}),
  });
  response.end(
    status === 403 ? 'This repository can only be read from here; the change is taken out by the runner.\n' : 'Not served.\n',
  );
}

function uploadPack(mirror: Mirror, service: Service, protocol: string, signal: AbortSignal): ChildProcess {
  const pack = 'exec git upload-pack --stateless-rpc --timeout=120 "$1"';
  const script =
    service.kind === 'refs'
      ? 'exec git upload-pack --http-backend-info-refs "$1"'
      : service.gzip
        ? `gzip -dc | head -c ${REQUEST_BYTES} | { ${pack}; }`
        : pack;
  return startCage({
    command: ['sh', '-c', script, 'sh', mirror.path],
    readOnly: [mirror.path],
    writable: [],
    cwd: '/',
    env: gitEnvironment({ config: READ_ONLY, variables: { GIT_PROTOCOL: protocol } }),
    network: 'none',
    memoryBytes: MEMORY_BYTES,
    fileBytes: 1,
    cpuSeconds: CPU_SECONDS,
    signal,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
}

const READ_ONLY = [
  ['transfer.hideRefs', 'refs/'],
  ['transfer.hideRefs', '!refs/heads/'],
  ['transfer.hideRefs', '!refs/tags/'],
  ['uploadpack.allowFilter', 'true'],
] as const;
