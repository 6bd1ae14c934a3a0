import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';
import { asNobody, freePort, giveToNobody, needed, serve } from './programs.ts';

/** The names that both proxies know; `.test` resolves nowhere. */
export const INSPECTED = 'inspected.test';
export const TUNNELLED = 'tunnelled.test';
export const SMALL_BYTES = 1024;

/** An upstream that is faster than what stands before it. */
export interface Outside extends AsyncDisposable {
  /** nginx: `/files/small` and `/files/large`. */
  readonly port: number;
  /** Reads what is posted and says 200. */
  readonly sinkPort: number;
  /** PEM of who signed its certificate. */
  readonly authority: string;
  readonly directory: string;
}

/** Starts it with its files and certificates in `directory`. */
export async function openOutside(directory: string, largeBytes: number, postedBytes: number): Promise<Outside> {
  giveToNobody(directory);
  certificate(directory);
  mkdirSync(join(directory, 'files'));
  writeFileSync(join(directory, 'files/small'), Buffer.alloc(SMALL_BYTES, 'x'));
  for (const [name, bytes] of [
    ['large', largeBytes],
    ['posted', postedBytes],
  ] as const) {
    writeFileSync(join(directory, 'files', name), '');
    truncateSync(join(directory, 'files', name), bytes); // holes read as zeros without a disk
  }
  const port = await freePort();
  writeFileSync(join(directory, 'nginx.conf'), configuration(directory, port));
  const nginx = await serve(needed('nginx'), ['-e', join(directory, 'nginx.log'), '-c', join(directory, 'nginx.conf')], {
    port,
    host: '127.0.0.1',
  });
  const sink = https
    .createServer(
      { key: readFileSync(join(directory, 'leaf.key')), cert: readFileSync(join(directory, 'leaf.pem')) },
      (request, response) => {
        request.resume();
        request.on('end', () => response.end());
      },
    )
    .listen(0, '127.0.0.1');
  await once(sink, 'listening');
  const address = sink.address();
  return {
    port,
    sinkPort: address === null || typeof address === 'string' ? 0 : address.port,
    authority: join(directory, 'outside.pem'),
    directory,
    async [Symbol.asyncDispose]() {
      sink.close();
      sink.closeAllConnections();
      await nginx[Symbol.asyncDispose]();
    },
  };
}

const configuration = (directory: string, port: number): string => `
daemon off;
master_process off;
pid ${directory}/nginx.pid;
error_log ${directory}/nginx.log;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  keepalive_requests 1000000;
  default_type application/octet-stream;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${directory}/temp-${kind};`).join('\n  ')}
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${directory}/leaf.pem;
    ssl_certificate_key ${directory}/leaf.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:bench:1m;
    root ${directory};
  }
}
`;

/** P-256 throughout, as the door issues; both proxies meet the same. */
function certificate(directory: string): void {
  const openssl = (...args: string[]) =>
    execFileSync(needed('openssl'), args, { ...asNobody(), cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const self = ['req', '-x509', ...key, '-days', '3'];
  openssl(...self, '-keyout', 'outside.key', '-out', 'outside.pem', '-subj', '/CN=outside');
  openssl(...self, '-keyout', 'squid.key', '-out', 'squid.pem', '-subj', '/CN=squid');
  openssl('req', ...key, '-keyout', 'leaf.key', '-out', 'leaf.csr', '-subj', '/CN=leaf');
  writeFileSync(join(directory, 'leaf.ext'), `subjectAltName=DNS:${INSPECTED},DNS:${TUNNELLED}\n`);
  const by = ['-CA', 'outside.pem', '-CAkey', 'outside.key', '-CAcreateserial'];
  openssl('x509', '-req', '-in', 'leaf.csr', ...by, '-days', '3', '-extfile', 'leaf.ext', '-out', 'leaf.pem');
}
