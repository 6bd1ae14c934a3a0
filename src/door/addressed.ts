import type { IncomingMessage } from 'node:http';
import { readAuthority } from '../policy/host-name.ts';
import { pathProblem } from '../policy/match.ts';
import { checkFraming } from './headers.ts';
import { Refusal } from './refusal.ts';
import type { Addressed } from './routes.ts';

/** The tunnel that a request came through, if any. */
export interface Inside {
  readonly host: string;
  readonly port: number;
  /** Why nothing in this tunnel can be answered, found out in its TLS handshake. */
  readonly misdirected: string | null;
}

/** Reads the target of a CONNECT. @throws Refusal 400 */
export function addressedTunnel(request: IncomingMessage): Addressed {
  const authority = readAuthority(request.url ?? '', null);
  if (!authority.ok) throw new Refusal(400, authority.reason);
  return { tls: true, host: authority.host, port: authority.port, method: 'CONNECT', path: '' };
}

/**
 * Reads where a request goes, and refuses one that says it in two ways that differ.
 * @throws Refusal 400, 405, 421
 */
export function addressed(request: IncomingMessage, inside: Inside | null): Addressed {
  checkFraming(request);
  const method = request.method ?? '';
  if (method === 'TRACE' || method === 'TRACK' || method === 'CONNECT') throw new Refusal(405, `${method} is not passed on`);
  if (request.headers.upgrade !== undefined) throw new Refusal(400, 'a change of protocol is not possible here');
  const read = inside === null ? absoluteForm(request.url ?? '') : originForm(request.url ?? '', inside);
  const named = readAuthority(request.headers.host ?? '', read.tls ? 443 : 80);
  if (!named.ok) throw new Refusal(400, `Host header: ${named.reason}`);
  if (named.host !== read.host || named.port !== read.port)
    throw new Refusal(421, `the Host header says ${named.host}:${named.port} and the request goes to ${read.host}:${read.port}`);
  const problem = pathProblem(read.path);
  if (problem !== null) throw new Refusal(400, problem);
  return { ...read, method };
}

type Read = Omit<Addressed, 'method'>;

function originForm(url: string, inside: Inside): Read {
  if (inside.misdirected !== null) throw new Refusal(421, inside.misdirected);
  if (!url.startsWith('/')) throw new Refusal(400, 'inside a tunnel only a path may be asked for');
  return { tls: true, host: inside.host, port: inside.port, path: url };
}

function absoluteForm(url: string): Read {
  const match = /^http:\/\/([^/?#]+)(\/[^#]*)?$/i.exec(url);
  if (match === null) throw new Refusal(400, 'this is a proxy: ask for http://host/path, or CONNECT to host:port for https');
  const authority = readAuthority(match[1] ?? '', 80);
  if (!authority.ok) throw new Refusal(400, authority.reason);
  return { tls: false, host: authority.host, port: authority.port, path: match[2] ?? '/' };
}
