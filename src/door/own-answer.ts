import type { IncomingMessage, ServerResponse } from 'node:http';
import type { LedgerRow } from './ledger.ts';
import type { Answered } from './routes.ts';

/** Gives an answer of the door's own, and writes its row once it has left. */
export function answerItself(request: IncomingMessage, response: ServerResponse, row: LedgerRow, way: Answered): void {
  const { answer, rule, reason } = way;
  const body = request.method === 'HEAD' ? '' : answer.body;
  // A read has no body worth reading; what there is of one is let go.
  request.resume();
  response.once('close', () => {
    const whole = response.writableFinished;
    row.bytesDown = whole ? Buffer.byteLength(body) : 0;
    row.end({
      verdict: whole ? 'allowed' : 'failed',
      rule,
      reason: whole ? reason : 'the client went away',
      address: null,
      status: answer.status,
    });
  });
  response.writeHead(answer.status, { ...answer.headers, 'content-length': Buffer.byteLength(answer.body) });
  response.end(body);
}
