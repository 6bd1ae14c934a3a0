import http from 'node:http';
import https from 'node:https';
import { connect, Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { checkedLookup, checkLiteral, type DialRule } from './address.ts';
import { Refusal } from './refusal.ts';

interface Dialling {
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Connects to a host under a rule: resolved once, every address checked, the checked one dialled. @throws Refusal */
export function dialDirectly(
  rule: DialRule,
  hosts: Readonly<Record<string, string>>,
  { host, port, timeoutMs, signal }: Dialling,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    checkLiteral(host, rule);
    // A client that only listens for the rest is still a client: each direction ends by itself.
    const socket = connect({ host, port, lookup: checkedLookup(rule, hosts), allowHalfOpen: true, noDelay: true });
    const settle = (error: unknown) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', gone);
      socket.off('error', settle);
      if (error === null) resolve(socket);
      else {
        socket.on('error', () => {});
        socket.destroy();
        reject(asRefusal(error, `${host}:${port}`));
      }
    };
    const timer = setTimeout(() => settle(new Refusal(504, `${host}:${port} does not answer`)), timeoutMs);
    const gone = () => settle(new Refusal(502, 'the client went away'));
    signal.addEventListener('abort', gone, { once: true });
    socket.once('error', settle);
    socket.once('connect', () => settle(null));
  });
}

/**
 * Connects through the company's forward proxy with CONNECT (RFC 9110, section 9.3.6); the proxy resolves the name.
 * @throws Refusal
 */
export function dialThrough(
  proxy: URL,
  secureContext: SecureContext,
  { host, port, timeoutMs, signal }: Dialling,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    const options = {
      host: proxy.hostname.replace(/^\[|\]$/g, ''),
      port: proxy.port === '' ? (proxy.protocol === 'https:' ? 443 : 80) : Number(proxy.port),
      method: 'CONNECT',
      path: authority,
      headers: { host: authority, ...authorization(proxy) },
    };
    const request =
      proxy.protocol === 'https:'
        ? https.request({ ...options, agent: new https.Agent({ secureContext }) })
        : http.request({ ...options, agent: false });
    const timer = setTimeout(() => fail(new Refusal(504, `the forward proxy does not answer for ${authority}`)), timeoutMs);
    const gone = () => fail(new Refusal(502, 'the client went away'));
    const settled = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', gone);
    };
    const fail = (problem: Refusal) => {
      settled();
      request.destroy();
      reject(problem);
    };
    signal.addEventListener('abort', gone, { once: true });
    const refused = (status: number | undefined) =>
      fail(new Refusal(502, `the forward proxy answered ${status} for ${authority}`));
    request.once('connect', (answer, socket, head) => {
      const status = answer.statusCode ?? 0;
      if (status < 200 || status > 299 || !(socket instanceof Socket)) {
        socket.destroy();
        refused(status);
        return;
      }
      settled();
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    request.once('response', (answer) => refused(answer.statusCode));
    request.on('error', (error) => fail(asRefusal(error, 'the forward proxy')));
    request.end();
  });
}

/** The proxy's own credential, from its URL; it goes to the proxy and nowhere else. */
function authorization(proxy: URL): http.OutgoingHttpHeaders {
  if (proxy.username === '' && proxy.password === '') return {};
  const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` };
}

function asRefusal(error: unknown, what: string): Refusal {
  if (error instanceof Refusal) return error;
  return new Refusal(502, `${what} could not be reached: ${error instanceof Error ? error.message : 'unknown'}`);
}
