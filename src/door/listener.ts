import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { errorText } from '../errors.ts';
import { addressed, type Inside } from './addressed.ts';
import { answerRaw, refuse } from './closing-answer.ts';
import { type DoorTimings, GIT_ROUTE, MODEL_ROUTE } from './door.ts';
import { exchange } from './exchange.ts';
import type { Ledger, LedgerRow } from './ledger.ts';
import type { Limits, OverloadRows } from './limits.ts';
import { answerItself } from './own-answer.ts';
import { Refusal } from './refusal.ts';
import type { Addressed, Routes } from './routes.ts';
import type { Gatekeeper } from './state.ts';

/** Largest head of a request. Bytes. */
export const HEAD_LIMIT = 32 * 1024;

export interface Parts {
  readonly gatekeeper: Gatekeeper;
  readonly routes: Routes;
  readonly ledger: Ledger;
  readonly limits: Limits;
  readonly overload: OverloadRows;
  readonly timings: DoorTimings;
}

/** A server that decides each request by itself; `insideOf` says through which tunnel a connection came. */
export function createDecidingServer(parts: Parts, insideOf: (socket: Duplex) => Inside | null): http.Server {
  /** Connections with a request in progress. */
  const busy = new WeakSet<Duplex>();
  /** Connections on which a request came too early: it is refused, and what follows it is not looked at. */
  const over = new WeakSet<Duplex>();
  // A missing Host is refused by `checkFraming`, so that the refusal has its row.
  const server = http.createServer(
    {
      requireHostHeader: false,
      maxHeaderSize: HEAD_LIMIT,
      headersTimeout: parts.timings.headMs,
      requestTimeout: parts.timings.requestMs,
      keepAliveTimeout: parts.timings.headMs,
      connectionsCheckingInterval: Math.min(5_000, parts.timings.headMs),
    },
    (request, response) => {
      if (over.has(request.socket)) return;
      const pipelined = busy.has(request.socket);
      if (pipelined) over.add(request.socket);
      busy.add(request.socket);
      if (!pipelined) response.once('close', () => busy.delete(request.socket));
      serve(parts, request, response, insideOf(request.socket), pipelined);
    },
  );
  // Node would leave out what is beyond its own number: here too many are seen, and refused.
  server.maxHeadersCount = 0;
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // What comes behind an answer that closes is the same trouble once more.
    if (socket.writableEnded) return;
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
    parts.limits.checkRate();
    target = addressed(request, inside);
    row = parts.ledger.open({ ...rowOf(parts, target), phase: state.phase });
    const way = parts.routes.open(state, target, request);
    if ('answer' in way) {
      answerItself(request, response, row, way);
      return;
    }
    const cut = exchange(request, response, row, way, parts.timings.exchangeMs);
    response.once('close', parts.gatekeeper.watch({ ...way, cut }));
  } catch (thrown) {
    // What cannot be passed on must not end the process: one client's odd bytes would be a way to stop the task.
    const refusal =
      thrown instanceof Refusal ? thrown : new Refusal(502, `the request could not be passed on: ${errorText(thrown)}`);
    if (refusal.status === 503 && row === null) parts.overload.add(refusal);
    else endRefused(row ?? parts.ledger.open({ ...asSent(request, inside), phase: state.phase }), refusal);
    refuse(response, refusal);
  }
}

/** Writes the row of a refusal. */
export function endRefused(row: LedgerRow, refusal: Refusal): void {
  const { verdict, rule, message, address, status } = refusal;
  row.end({ verdict, rule, reason: message, address, status });
}

export function rowOf({ routes }: Pick<Parts, 'routes'>, target: Addressed) {
  const { method, host, port, path } = target;
  return { route: routes.routeOf(target), method, host, port, path };
}

/** What a row can say of a request that could not be read: the client's own words. */
export function asSent(request: IncomingMessage, inside: Inside | null) {
  const host = inside?.host ?? request.headers.host ?? '';
  const route = host === GIT_ROUTE ? 'git' : host === MODEL_ROUTE ? 'model' : 'egress';
  return { route, method: request.method ?? '', host, port: inside?.port ?? 0, path: request.url ?? '' } as const;
}

/** Anything else is a connection that broke: nothing was asked. */
export function isMalformed(error: NodeJS.ErrnoException): boolean {
  return error.code?.startsWith('HPE_') === true || error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
}

function refuseUnread(parts: Parts, error: NodeJS.ErrnoException, socket: Duplex, inside: Inside | null): void {
  const tooFast = parts.limits.rateProblem();
  if (tooFast !== null) {
    parts.overload.add(tooFast);
    answerRaw(socket, tooFast);
    return;
  }
  const refusal = new Refusal(400, `not a well-formed HTTP request (${error.code})`);
  const asked = { route: 'egress', method: '', host: inside?.host ?? '', port: inside?.port ?? 0, path: '' } as const;
  endRefused(parts.ledger.open({ ...asked, phase: parts.gatekeeper.state.phase }), refusal);
  answerRaw(socket, refusal);
}
