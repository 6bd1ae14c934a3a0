import type { ServerResponse } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import type { Refusal } from './refusal.ts';

/**
 * What a client has under way when it is answered is read and let go, this much and this long: a connection that is
 * closed with something unread is reset, and the reset can overtake the answer (RFC 9112, section 9.6).
 */
const LET_GO_BYTES = 1024 * 1024;
const LET_GO_MS = 2_000;

const REASONS = {
  400: 'Bad Request',
  403: 'Forbidden',
  405: 'Method Not Allowed',
  421: 'Misdirected Request',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

/** Answers a request with a refusal and closes: what the client sent after it is not looked at. */
export function refuse(response: ServerResponse, refusal: Refusal): void {
  if (response.headersSent || response.destroyed) return;
  const { text } = refusal;
  response.writeHead(refusal.status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'x-coatcheck-refused': refusal.verdict,
    connection: 'close',
  });
  response.write(text);
  letGo(response.req, 'end', () => response.end());
}

/** Answers on a bare connection, takes it from whoever read it, and closes it once its client has, or soon. */
export function answerRaw(socket: Duplex, refusal: Refusal): void {
  if (!socket.writable) return;
  const { text } = refusal;
  const head = `HTTP/1.1 ${refusal.status} ${REASONS[refusal.status]}\r\ncontent-type: text/plain; charset=utf-8\r\n`;
  socket.end(`${head}content-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`);
  socket.removeAllListeners('data');
  letGo(socket, 'close', () => socket.destroy());
}

/** Reads without looking until `end`, or until it was enough; then calls `over`, once. */
function letGo(source: Readable, end: 'end' | 'close', over: () => void): void {
  let left = LET_GO_BYTES;
  const stop = () => {
    clearTimeout(timer);
    source.off('data', count).off(end, stop).off('close', stop);
    over();
  };
  const count = ({ length }: Buffer) => {
    left -= length;
    if (left < 0) stop();
  };
  const timer = setTimeout(stop, LET_GO_MS);
  source.on('data', count).once(end, stop).once('close', stop);
  source.resume();
}
