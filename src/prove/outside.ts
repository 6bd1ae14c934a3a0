import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { createTaskAuthority } from '../door/certificates.ts';

/** What stands for everything outside the sandbox: listeners of this process on this machine, and what reached them. */
export interface Outside {
  /** This machine's own addresses, loopback left out. */
  readonly addresses: readonly string[];
  /** TCP on all IPv4 addresses, on all IPv6 addresses, UDP on all IPv4 addresses; each answers `canary`. */
  readonly ports: { readonly tcp: number; readonly tcp6: number; readonly udp: number };
  /** A web server with TLS on loopback: the far end of what the door lets through. */
  readonly web: { readonly port: number; readonly authority: string; readonly requests: readonly Asked[]; connections(): number };
  /** A plain web server on loopback in the place of the model gateway. */
  readonly model: { readonly url: string; readonly requests: readonly Asked[] };
  /** A Unix socket in the file system, and one with an abstract name; both answer `canary`. */
  readonly socket: string;
  readonly abstract: string;
  /** A file beside the socket. */
  readonly file: string;
  /** Connections and datagrams that came to the listeners, the web servers left out. */
  touched(): number;
  close(): Promise<void>;
}

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
}

type Closing = () => void | Promise<void>;

/** Opens all listeners. `directory` holds the socket and the file. */
export async function openOutside(directory: string): Promise<Outside> {
  const closing: Closing[] = [];
  let touched = 0;
  const touch = () => {
    touched += 1;
  };
  const socket = path.join(directory, 'host.sock');
  const abstract = `coatcheck-prove-${randomBytes(6).toString('hex')}`;
  const file = path.join(directory, 'host-file');
  await writeFile(file, 'canary\n', { mode: 0o644 });
  const tcp = await listenTcp(closing, touch, { host: '0.0.0.0', port: 0 });
  const tcp6 = await listenTcp(closing, touch, { host: '::', port: 0, ipv6Only: true });
  await listenTcp(closing, touch, { path: socket });
  await listenTcp(closing, touch, { path: `\0${abstract}` });
  const udp = await listenUdp(closing, touch);
  const model = await listenModel(closing);
  const web = await listenWeb(closing);
  const addresses = Object.values(networkInterfaces())
    .flatMap((found) => found ?? [])
    // A link-local address needs a zone, and means another machine's link inside.
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
    .map(({ address }) => address);
  return {
    ...{ addresses, ports: { tcp, tcp6, udp }, web, model, socket, abstract, file },
    touched: () => touched,
    async close() {
      await Promise.all(closing.map((close) => close()));
    },
  };
}

async function listenTcp(closing: Closing[], touch: () => void, place: net.ListenOptions): Promise<number> {
  const server = net.createServer((connection) => {
    touch();
    connection.on('error', () => {});
    connection.once('data', () => connection.end('canary\n'));
  });
  server.listen(place);
  await once(server, 'listening');
  closing.push(() => void server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function listenUdp(closing: Closing[], touch: () => void): Promise<number> {
  const server = dgram.createSocket('udp4');
  server.on('message', (_, from) => {
    touch();
    server.send('canary\n', from.port, from.address);
  });
  server.bind(0, '0.0.0.0');
  await once(server, 'listening');
  closing.push(() => void server.close());
  return server.address().port;
}

async function listenModel(closing: Closing[]): Promise<Outside['model']> {
  const requests: Asked[] = [];
  const server = http.createServer((request, response) => {
    requests.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers });
    request.resume().once('end', () => response.end('{"canary":true}'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => closeServer(server));
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`, requests };
}

async function listenWeb(closing: Closing[]): Promise<Outside['web']> {
  const authority = await createTaskAuthority();
  const requests: Asked[] = [];
  let connections = 0;
  const server = https.createServer(
    { SNICallback: (name, done) => void authority.contextFor(name).then((context) => done(null, context), done) },
    (request, response) => {
      requests.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers });
      if (request.url?.startsWith('/open/redirect') === true)
        response.writeHead(302, { location: 'https://elsewhere.canary.test/' });
      request.resume().once('end', () => response.end('outside'));
    },
  );
  server.on('connection', () => {
    connections += 1;
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => closeServer(server));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { port, authority: authority.certificate, requests, connections: () => connections };
}

async function closeServer(server: http.Server | https.Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
