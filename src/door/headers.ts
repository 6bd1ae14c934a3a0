import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { Refusal } from './refusal.ts';

/** RFC 9110 section 7.6.1, and what older software adds. */
const HOP_BY_HOP = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'proxy-authorization',
  'proxy-authenticate',
  'proxy-authentication-info',
  'expect',
  'http2-settings',
]);

/** A sandbox has no credential of its own that is worth passing on: what it sends is somebody else's, or a way out. */
const CREDENTIALS = new Set([
  'authorization',
  'cookie',
  'cookie2',
  'x-api-key',
  'x-apikey',
  'api-key',
  'apikey',
  'x-goog-api-key',
  'x-goog-iam-authorization-token',
  'private-token',
  'job-token',
  'deploy-token',
  'x-gitlab-token',
  'x-jfrog-art-api',
  'x-nuget-apikey',
  'x-vault-token',
  'x-amz-security-token',
  'x-ms-token-aad-access-token',
  'x-access-token',
  'x-auth-token',
  'x-authorization',
  'x-forwarded-authorization',
  'x-csrf-token',
  'npm-otp',
]);

/** Tokens in a query: RFC 6750, section 2.3, and GitLab's. A signed address is no such thing: it opens one object. */
const TOKEN_QUERY = /(?:^|[?&;])(?:access_token|private_token|job_token|oauth_token)=/i;

/** Refuses a credential in the query: taking it out would ask for another address than was decided. @throws Refusal 403 */
export function checkQuery(path: string): void {
  const query = path.slice(path.indexOf('?') + 1);
  if (!path.includes('?')) return;
  let decoded = query;
  try {
    decoded = decodeURIComponent(query);
  } catch {
    // What cannot be decoded is judged as it stands.
  }
  if (TOKEN_QUERY.test(query) || TOKEN_QUERY.test(decoded))
    throw new Refusal(403, 'a token in the query is not passed on: the operator can give the rule a credential');
}

/** Headers for the upstream: no hop-by-hop ones, none named by Connection, no credentials, the host as decided. */
export function requestHeaders(request: IncomingMessage, host: string): OutgoingHttpHeaders {
  const headers = withoutHopByHop(request.headers);
  for (const name of CREDENTIALS) delete headers[name];
  const framed = request.headers['transfer-encoding'] !== undefined ? { 'transfer-encoding': 'chunked' } : {};
  return { ...headers, ...framed, host };
}

export function responseHeaders(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  return withoutHopByHop(headers);
}

function withoutHopByHop(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const named = new Set((headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase()));
  const kept = Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name) && !named.has(name));
  return Object.fromEntries(kept);
}

/** Most headers of one request; Node itself would quietly leave out those beyond its own limit. */
const HEADERS = 200;

/**
 * What makes two parsers read one request differently is refused, not repaired.
 * @throws Refusal 400
 */
export function checkFraming(request: IncomingMessage): void {
  const names = request.rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
  const times = (name: string) => names.filter((each) => each === name).length;
  if (names.length > HEADERS) throw new Refusal(400, `the request has more than ${HEADERS} headers`);
  if (times('host') !== 1) throw new Refusal(400, 'a request has to have exactly one Host header');
  if (times('content-length') + times('transfer-encoding') > 1) throw new Refusal(400, 'the length of the body is given twice');
  if (times('trailer') > 0) throw new Refusal(400, 'trailers are not passed on');
  const coding = request.headers['transfer-encoding'];
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') throw new Refusal(400, 'the transfer coding is not chunked');
  if (request.httpVersion === '1.0' && coding !== undefined) throw new Refusal(400, 'HTTP/1.0 has no transfer coding');
  if (request.httpVersion !== '1.1' && request.httpVersion !== '1.0') throw new Refusal(400, 'the HTTP version is not 1.1');
}
