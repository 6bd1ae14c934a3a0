import type { IncomingMessage } from 'node:http';
import { CoatcheckError } from '../errors.ts';
import { isObject } from './refusal.ts';
import type { JsonObject } from './wire-dialect.ts';

/**
 * Reads a request's body whole.
 *
 * @throws CoatcheckError `body_too_large` above `limit` bytes, `body_unreadable` when it is not a JSON object.
 */
export async function readBody(request: IncomingMessage, limit: number): Promise<JsonObject> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Leaving the loop early must not cut the connection before the refusal is told.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    const piece = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    bytes += piece.length;
    if (bytes > limit) {
      throw new CoatcheckError('body_too_large', `The request is larger than ${limit} bytes.`, 'Send less.');
    }
    chunks.push(piece);
  }
  const body = parsed(Buffer.concat(chunks).toString('utf8'));
  if (isObject(body)) return body;
  throw new CoatcheckError('body_unreadable', 'The request is not a JSON object.', 'Send what the dialect describes.');
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
