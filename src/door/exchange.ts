import type { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { errorText } from '../errors.ts';
import { refuse } from './closing-answer.ts';
import { withoutEchoes } from './credentials.ts';
import { responseHeaders } from './headers.ts';
import type { LedgerRow } from './ledger.ts';
import { Refusal } from './refusal.ts';
import type { Passage } from './routes.ts';

/**
 * Streams a request to its upstream and the answer back, with backpressure and without keeping either, and writes
 * the row at the end. @returns a function that cuts the exchange.
 */
export function exchange(
  request: IncomingMessage,
  response: ServerResponse,
  row: LedgerRow,
  passage: Passage,
  totalMs: number,
): (reason: string) => void {
  const { upstream, quota } = passage;
  row.resolver = passage.resolver;
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
  const total = setTimeout(() => fail(new Refusal(504, 'the exchange took too long')), totalMs);
  const overdrawn = () => fail(new Refusal(503, quota?.problem ?? ''));

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
      gather(response.socket);
      if (quota?.down(chunk.length) === false) overdrawn();
    });
    try {
      response.writeHead(status, withoutEchoes(responseHeaders(answer.headers), passage.secrets));
    } catch (error) {
      fail(new Refusal(502, `the answer's head is not valid: ${errorText(error)}`));
      return;
    }
    // The head goes with the first of the body where that is there already, and by itself where it is not.
    setImmediate(() => row.bytesDown > 0 || response.writableEnded || response.flushHeaders());
    answer.once('error', (error) => fail(new Refusal(502, `the answer broke off: ${error.message}`)));
    answer.once('close', () => answer.readableEnded || fail(new Refusal(502, 'the answer broke off')));
    response.once('finish', () => done('allowed', passage.reason));
    answer.pipe(response);
  });
  response.on('error', () => {}); // its close is enough
  response.once('close', () => {
    clearTimeout(total);
    if (!response.writableFinished) fail(new Refusal(502, 'the client went away'));
    if (!upstream.destroyed && !response.writableFinished) upstream.destroy();
  });
  request.on('error', () => upstream.destroy());
  request.on('data', (chunk: Buffer) => {
    row.bytesUp += chunk.length;
    gather(upstream.socket);
    if (quota?.up(chunk.length) === false) overdrawn();
  });
  request.pipe(upstream);
  return (reason) => fail(new Refusal(403, reason));
}

/**
 * Lets what arrives in one turn of the event loop leave as one write: TLS hands its records over one by one, and each
 * would be a call into the kernel of its own.
 */
function gather(socket: Writable | null): void {
  if (socket === null || socket.writableCorked > 0) return;
  socket.cork();
  setImmediate(() => socket.uncork());
}
