import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { pipeline } from 'node:stream';
import { errorText } from '../errors.ts';
import { responseHeaders } from './headers.ts';
import type { LedgerRow } from './ledger.ts';
import { Refusal, refusalText } from './refusal.ts';

/** One request and its answer take no longer than this, however busy they are. */
const TOTAL_MS = 60 * 60_000;

/** What is known of an exchange that was let through. */
export interface Passage {
  readonly rule: string | null;
  readonly reason: string;
}

/**
 * Streams a request to its upstream and the answer back, with backpressure and without keeping either, and writes
 * the row at the end. @returns a function that cuts the exchange.
 */
export function exchange(
  request: IncomingMessage,
  response: ServerResponse,
  upstream: ClientRequest,
  row: LedgerRow,
  passage: Passage,
): (reason: string) => void {
  let address: string | null = null;
  let status: number | null = null;
  const done = (verdict: 'allowed' | 'failed', reason: string) =>
    row.end({ verdict, rule: passage.rule, reason, address, status });
  const fail = (problem: Refusal) => {
    if (row.written) return;
    upstream.destroy();
    const answered = response.headersSent;
    row.end({
      verdict: problem.verdict,
      rule: passage.rule,
      reason: problem.message,
      address: problem.address ?? address,
      status: answered ? status : problem.status,
    });
    if (answered) response.destroy();
    else refuse(response, problem);
  };
  const total = setTimeout(() => fail(new Refusal(504, 'the exchange took too long')), TOTAL_MS);

  upstream.on('socket', (socket) => {
    const note = () => {
      if (socket instanceof Socket) address = socket.remoteAddress ?? null;
    };
    if (socket.connecting) socket.once('connect', note);
    else note();
  });
  upstream.on('error', (error) =>
    fail(error instanceof Refusal ? error : new Refusal(502, `the upstream failed: ${error.message}`)),
  );
  upstream.on('upgrade', (_, socket) => {
    socket.destroy();
    fail(new Refusal(502, 'the upstream changed the protocol'));
  });
  upstream.on('response', (answer) => {
    status = answer.statusCode ?? 502;
    answer.on('data', (chunk: Buffer) => {
      row.bytesDown += chunk.length;
    });
    try {
      response.writeHead(status, responseHeaders(answer.headers));
    } catch (error) {
      fail(new Refusal(502, `the answer's head is not valid: ${errorText(error)}`));
      return;
    }
    response.flushHeaders();
    pipeline(answer, response, (error) => {
      if (error) fail(new Refusal(502, `the answer broke off: ${error.message}`));
      else done('allowed', passage.reason);
    });
  });
  response.once('close', () => {
    clearTimeout(total);
    if (!response.writableFinished) fail(new Refusal(502, 'the client went away'));
    if (!upstream.destroyed && !response.writableFinished) upstream.destroy();
  });
  request.on('error', () => upstream.destroy());
  request.on('data', (chunk: Buffer) => {
    row.bytesUp += chunk.length;
  });
  request.pipe(upstream);
  return (reason) => fail(new Refusal(403, reason));
}

/** Answers with a refusal and closes: what the client sent after it is not read. */
export function refuse(response: ServerResponse, refusal: Refusal, text: string = refusalText(refusal)): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(refusal.status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'x-coatcheck-refused': refusal.verdict,
    connection: 'close',
  });
  response.end(text);
}
