/** A few answers of GitHub's API on loopback, for what a whole forge cannot be told to do. */
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';

export const silent = pino({ level: 'silent' });

const { privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
});

export { privateKey };

export interface Seen {
  method: string;
  path: string;
  authorization: string;
  body: unknown;
  at: number;
}

export interface Reply {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
  /** Breaks the connection off: `before` any byte, or within the `body`. */
  drop?: 'before' | 'body';
  /** Never answers. */
  hang?: boolean;
}

/** Serves what `answer` says; installation tokens and the App itself are answered by itself. */
export async function localGitHub(answer: (seen: Seen, nth: number) => Reply) {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    const one = await read(request);
    const nth = seen.filter((other) => other.method === one.method && other.path === one.path).length;
    seen.push(one);
    const reply = standard(one) ?? answer(one, nth);
    if (reply.hang === true) return;
    if (reply.drop === 'before') return void request.socket.destroy();
    response.writeHead(reply.status, {
      'Content-Type': 'application/json',
      ...(reply.drop === 'body' ? { 'Content-Length': '1000' } : {}),
      ...reply.headers,
    });
    if (reply.drop !== 'body') return void response.end(reply.status === 204 ? undefined : JSON.stringify(reply.body ?? {}));
    response.write('{');
    request.socket.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    of: (method: string, path: RegExp) => seen.filter((one) => one.method === method && path.test(one.path)),
    async close(): Promise<void> {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function read(request: IncomingMessage): Promise<Seen> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString('utf8');
  return {
    method: request.method ?? '',
    path: request.url ?? '',
    authorization: request.headers.authorization ?? '',
    body: text === '' ? null : JSON.parse(text),
    at: performance.now(),
  };
}

let minted = 0;

function standard({ method, path }: Seen): Reply | null {
  if (method === 'POST' && path.endsWith('/access_tokens')) {
    minted += 1;
    return { status: 201, body: { token: `ghs_local${minted}`, expires_at: new Date(Date.now() + 3_600_000).toISOString() } };
  }
  if (method === 'DELETE' && path === '/installation/token') return { status: 204 };
  if (path === '/app') return { status: 200, body: { id: 7, slug: 'coat', html_url: 'http://x.test' } };
  if (path.startsWith('/app/installations?')) return { status: 200, body: [{ id: 1, suspended_at: null }] };
  return path.startsWith('/users/') ? { status: 200, body: { id: 70, login: 'coat[bot]' } } : null;
}
