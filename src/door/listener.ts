import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { errorText } from '../errors.ts';
import { addressed, type Inside } from './addressed.ts';
import { exchange, refuse } from './exchange.ts';
import type { Ledger, LedgerRow } from './ledger.ts';
import { Refusal, refusalText } from './refusal.ts';
import { type Addressed, EgressRefusal, type Routes, routeOf } from './routes.ts';
import type { Gatekeeper } from './state.ts';

/** Largest head of a request. Bytes. */
export const HEAD_LIMIT = 32 * 1024;

export interface Parts {
  readonly gatekeeper: Gatekeeper;
  readonly routes: Routes;
  readonly ledger: Ledger;
}

/** A server that decides each request by itself; `insideOf` says through which tunnel a connection came. */
export function createDecidingServer(parts: Parts, insideOf: (socket: Duplex) => Inside | null): http.Server {
  /** Connections with a request in progress. */
  const busy = new WeakSet<Duplex>();
  // A missing Host is refused by `checkFraming`, so that the refusal has its row.
  const server = http.createServer(
    {
      requireHostHeader: false,
      maxHeaderSize: HEAD_LIMIT,
      headersTimeout: 15_000,
      keepAliveTimeout: 20_000,
      connectionsCheckingInterval: 5_000,
    },
    (request, response) => {
      const pipelined = busy.has(request.socket);
      busy.add(request.socket);
      if (!pipelined) response.once('close', () => busy.delete(request.socket));
      serve(parts, request, response, insideOf(request.socket), pipelined);
    },
  );
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // A request that was let through has its row already, and ends with its connection.
    if (busy.has(socket) || !isMalformed(error)) socket.destroy();
    else refuseUnread(parts, error, socket, insideOf(socket));
  });
  return server;
}

function serve(
  parts: Parts,
  request: IncomingMessage,
  response: ServerResponse,
  inside: Inside | null,
  pipelined: boolean,
): void {
  const state = parts.gatekeeper.state;
  let target: Addressed | null = null;
  let row: LedgerRow | null = null;
  try {
    if (pipelined) throw new Refusal(400, 'a request was sent before the one before it was answered');
    target = addressed(request, inside);
    row = parts.ledger.open({ ...rowOf(target), phase: state.phase });
    const way = parts.routes.open(state, target, request);
    const cut = exchange(request, response, way.upstream, row, way);
    const forget = parts.gatekeeper.watch({ stillAllowed: way.stillAllowed, cut });
    response.once('close', forget);
  } catch (thrown) {
    // What cannot be passed on must not end the process: one client's odd bytes would be a way to stop the task.
    const refusal =
      thrown instanceof Refusal ? thrown : new Refusal(502, `the request could not be passed on: ${errorText(thrown)}`);
    row ??= parts.ledger.open({ ...asSent(request, inside), phase: state.phase });
    endRefused(row, refusal);
    refuse(response, refusal, refusal instanceof EgressRefusal ? refusal.text : refusalText(refusal));
  }
}

/** Writes the row of a refusal. */
export function endRefused(row: LedgerRow, refusal: Refusal): void {
  const rule = refusal instanceof EgressRefusal ? refusal.nearest : null;
  row.end({ verdict: refusal.verdict, rule, reason: refusal.message, address: refusal.address, status: refusal.status });
}

export function rowOf({ method, host, port, path }: Addressed) {
  return { route: routeOf(host), method, host, port, path };
}

/** What a row can say of a request that could not be read: the client's own words. */
export function asSent(request: IncomingMessage, inside: Inside | null) {
  const host = inside?.host ?? request.headers.host ?? '';
  return { route: routeOf(host), method: request.method ?? '', host, port: inside?.port ?? 0, path: request.url ?? '' };
}

/** Anything else is a connection that broke: nothing was asked. */
export function isMalformed(error: NodeJS.ErrnoException): boolean {
  return error.code?.startsWith('HPE_') === true || error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
}

function refuseUnread(parts: Parts, error: NodeJS.ErrnoException, socket: Duplex, inside: Inside | null): void {
  const refusal = new Refusal(400, `not a well-formed HTTP request (${error.code})`);
  const asked = { route: 'egress', method: '', host: inside?.host ?? '', port: inside?.port ?? 0, path: '' } as const;
  endRefused(parts.ledger.open({ ...asked, phase: parts.gatekeeper.state.phase }), refusal);
  answerRaw(socket, refusal);
}

const REASONS = {
  400: 'Bad Request',
  403: 'Forbidden',
  405: 'Method Not Allowed',
  421: 'Misdirected Request',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

/** Answers on a bare connection and closes it. */
export function answerRaw(socket: Duplex, refusal: Refusal, text: string = refusalText(refusal)): void {
  if (!socket.writable) return;
  const head = `HTTP/1.1 ${refusal.status} ${REASONS[refusal.status]}\r\ncontent-type: text/plain; charset=utf-8\r\n`;
  socket.end(`${head}content-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`);
  if (socket instanceof Socket) socket.destroySoon();
}
