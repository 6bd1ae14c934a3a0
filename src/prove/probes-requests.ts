import { connect, inner, markOf, NEXT_PORT, plain, SINK } from './door-ground.ts';
import { type DoorProbe, port, refusal, through } from './door-probe.ts';

export function requests(): DoorProbe[] {
  const at = (other: number | string) => ({ send: connect(`${SINK}:${other}`) });
  return [
    ...[NEXT_PORT, 22, 25, 6379].map((other, index) =>
      refusal({
        name: `port ${index === 0 ? 'beside' : other}`,
        attempt: 'a listed host at a port that no rule opens',
        conversation: at(other),
        refused: [403],
      }),
    ),
    ...['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND'].map((method) =>
      refusal({
        ...{ name: `method ${method}`, attempt: `${method} where the rule allows reading` },
        conversation: through(SINK, `method ${method}`, { method, headers: 'Content-Length: 0\r\n' }),
        refused: [403],
      }),
    ),
    ...['TRACE', 'TRACK'].map((method) =>
      refusal({
        ...{
          class: 'credentials',
          name: `echo by ${method}`,
          attempt: `${method}, which would return the request with its credential`,
        },
        conversation: through('secret.canary.test', `echo by ${method}`, { method }),
        // What is no method to the parser has no answer of its own.
        refused: [400, 405],
      }),
    ),
    ...[
      '/',
      '/other',
      '/openly',
      '/open/../other',
      '/open/%2e%2e/other',
      '/open/%252e%252e/other',
      '//open',
      '/open/..\\other',
    ].map((path) =>
      refusal({
        ...{ name: `path ${path}`, attempt: 'a path that the rule does not cover, or that means another one' },
        conversation: through(SINK, `path ${path}`, { path: `${path}${markOf(`path ${path}`)}` }),
        refused: [400, 403],
      }),
    ),
    refusal({
      ...{ name: 'an unlisted host over plain http', attempt: 'GET http://elsewhere.canary.test/' },
      conversation: { send: plain('elsewhere.canary.test', markOf('an unlisted host over plain http')) },
      refused: [403],
    }),
    refusal({
      ...{ name: 'a listed host over plain http', attempt: 'a request without TLS to the port of https' },
      conversation: { send: plain(`${SINK}:${port}`, `/open${markOf('a listed host over plain http')}`) },
      refused: [403],
    }),
    refusal({
      ...{ name: 'the second hop of a redirect', attempt: 'the listed host redirects to one that is not' },
      conversation: through('elsewhere.canary.test', 'the second hop of a redirect'),
      refused: [403],
    }),
    refusal({
      ...{ name: 'another scheme', attempt: 'GET ftp://… of the proxy' },
      conversation: { send: `GET ftp://${SINK}/open HTTP/1.1\r\nHost: ${SINK}\r\nConnection: close\r\n\r\n` },
      refused: [400],
    }),
    refusal({
      ...{ name: 'the door itself', attempt: 'a request in origin form, as to a server' },
      conversation: { send: inner(SINK, `/open${markOf('the door itself')}`) },
      refused: [400],
    }),
  ];
}

/** Requests that two parsers could read as two. */
export function framing(): DoorProbe[] {
  const open = (name: string) => `/open${markOf(name)}`;
  const host = `Host: ${SINK}:${port}\r\n`;
  const cases: readonly (readonly [name: string, attempt: string, send: (path: string) => string])[] = [
    [
      'length and chunks',
      'Content-Length and Transfer-Encoding',
      (p) => `GET ${p} HTTP/1.1\r\n${host}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      'two lengths',
      'two Content-Lengths that differ',
      (p) => `GET ${p} HTTP/1.1\r\n${host}Content-Length: 0\r\nContent-Length: 4\r\n\r\n`,
    ],
    [
      'an odd coding',
      'Transfer-Encoding: chunked, identity',
      (p) => `GET ${p} HTTP/1.1\r\n${host}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
    ],
    ['a folded header', 'a header that goes on in the next line', (p) => `GET ${p} HTTP/1.1\r\n${host}X-A: b\r\n c\r\n\r\n`],
    ['a space before the colon', 'Content-Length : 4', (p) => `GET ${p} HTTP/1.1\r\n${host}Content-Length : 4\r\n\r\nabcd`],
    ['two hosts', 'two Host headers', (p) => `GET ${p} HTTP/1.1\r\n${host}Host: elsewhere.canary.test\r\n\r\n`],
    ['no host', 'no Host header', (p) => `GET ${p} HTTP/1.1\r\n\r\n`],
    ['a NUL in a header', 'a NUL in a header', (p) => `GET ${p} HTTP/1.1\r\n${host}X-A: b\0c\r\n\r\n`],
    [
      'another protocol',
      'a change to websocket',
      (p) => `GET ${p} HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    ],
    ['HTTP/2', 'the preface of HTTP/2', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['headers without end', '100 kB of headers', (p) => `GET ${p} HTTP/1.1\r\n${host}X-A: ${'b'.repeat(100_000)}\r\n\r\n`],
  ];
  return cases.map(([name, attempt, send]) =>
    refusal({
      ...{ name, attempt },
      conversation: { send: connect(`${SINK}:${port}`), tunnel: { name: SINK, send: send(open(name)) } },
      // A head that is refused before it was read ends with a reset, which can overtake the answer.
      refused: [400, 405, 421, 431, ...(name === 'headers without end' ? [null] : [])],
    }),
  );
}
