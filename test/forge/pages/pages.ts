/** Plain pages for people. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ControlContext } from '../control.ts';

export async function pages(
  _context: ControlContext,
  _url: URL,
  _request: IncomingMessage,
  response: ServerResponse,
  _body: Buffer,
): Promise<void> {
  response.writeHead(404, { 'content-type': 'text/plain' });
  response.end('Not Found\n');
}
