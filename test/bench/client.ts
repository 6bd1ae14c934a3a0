import { execFile } from 'node:child_process';
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import tls, { type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { SMALL_BYTES } from './outside.ts';
import { needed } from './programs.ts';

/** Where requests go: straight to the upstream, or through a proxy. */
export interface Route {
  readonly proxy: NetConnectOpts | null;
  readonly host: string;
  readonly port: number;
  /** PEM that the client trusts. */
  readonly authority: string;
}

const MiB = 1024 * 1024;

/** One curl through a TCP proxy; `up` posts a file of that many bytes' holes. MiB per second. @throws Error when the answer is not whole. */
export async function bulk(
  route: { readonly proxyPort: number; readonly host: string; readonly port: number; readonly authorityFile: string },
  way: { readonly down: string; readonly bytes: number } | { readonly up: string; readonly bytes: number },
  signal: AbortSignal,
): Promise<number> {
  const path = 'down' in way ? way.down : '/files/sink';
  const { stdout } = await promisify(execFile)(
    needed('curl'),
    [
      ...['--silent', '--show-error', '--fail', '--http1.1', '--output', '/dev/null', '--noproxy', ''],
      ...['--proxy', `http://127.0.0.1:${route.proxyPort}`, '--cacert', route.authorityFile],
      ...['--write-out', '%{size_download} %{size_upload} %{time_pretransfer} %{time_total}'],
      ...('up' in way ? ['--header', 'expect:', '--request', 'POST', '--upload-file', way.up] : []),
      `https://${route.host}:${route.port}${path}`,
    ],
    { env: {}, signal },
  );
  const [down = 0, up = 0, before = 0, total = 0] = stdout.split(' ').map(Number);
  const moved = 'down' in way ? down : up;
  if (moved !== way.bytes) throw new Error(`${moved} of ${way.bytes} bytes passed`);
  return moved / MiB / (total - before);
}

/** Opens a connection up to the point where a request can be sent. */
export async function open({ proxy, host, port, authority }: Route): Promise<TLSSocket> {
  const socket = connect(proxy ?? { port, host: '127.0.0.1' });
  socket.setNoDelay(true);
  try {
    if (proxy !== null) {
      socket.write(`CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`);
      const answer = await until(socket, (text) => text.includes('\r\n\r\n'));
      if (!/^HTTP\/1\.[01] 200/.test(answer)) throw new Error(`CONNECT was answered: ${answer}`);
    }
    return await secured(socket, host, authority);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function secured(socket: Socket, servername: string, ca: string): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const secure = tls.connect({ socket, servername, ca, ALPNProtocols: ['http/1.1'] });
    secure.once('secureConnect', () => resolve(secure));
    secure.once('error', reject);
    secure.once('close', () => reject(new Error('the connection was closed in its TLS handshake')));
  });
}

/** One request for the small file on an open connection. Milliseconds. */
export async function small(connection: TLSSocket, { host, port }: Route): Promise<number> {
  const start = performance.now();
  connection.write(`GET /files/small HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`);
  const answer = await until(connection, (text) => {
    const head = text.indexOf('\r\n\r\n');
    return head >= 0 && text.length >= head + 4 + SMALL_BYTES;
  });
  if (!answer.startsWith('HTTP/1.1 200')) throw new Error(`the request was answered: ${answer.slice(0, 200)}`);
  return performance.now() - start;
}

/** Reads until it is enough. */
function until(stream: Readable, enough: (text: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const stop = () => {
      stream.off('data', take).off('error', fail).off('close', closed);
    };
    const take = (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (!enough(text)) return;
      stop();
      resolve(text);
    };
    const fail = (error: Error) => {
      stop();
      reject(error);
    };
    const closed = () => fail(new Error(`the connection was closed after: ${text.slice(0, 200)}`));
    stream.on('data', take).on('error', fail).on('close', closed);
  });
}
