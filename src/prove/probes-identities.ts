import { connect, inner, markOf, NEXT_PORT, plain, SINK } from './door-ground.ts';
import { type DoorProbe, passing, port, refusal, through } from './door-probe.ts';

/** What says who is spoken to: the tunnel, the TLS hello, the Host header. */
export function identities(): DoorProbe[] {
  const tunnelled = (name: string, sni: string | null, hostHeader: string) => ({
    send: connect(`${SINK}:${port}`),
    tunnel: { name: sni, send: inner(hostHeader, `/open${markOf(name)}`) },
  });
  return [
    refusal({
      name: 'another TLS name',
      attempt: 'the hello names another host than the tunnel',
      conversation: tunnelled('another TLS name', 'elsewhere.canary.test', `${SINK}:${port}`),
      refused: [421, null],
    }),
    refusal({
      name: 'no TLS name',
      attempt: 'the hello names no host',
      conversation: tunnelled('no TLS name', null, `${SINK}:${port}`),
      refused: [421, null],
    }),
    refusal({
      name: 'another inner Host',
      attempt: 'the Host header names another host than the tunnel',
      conversation: tunnelled('another inner Host', SINK, 'elsewhere.canary.test'),
      refused: [421],
    }),
    refusal({
      name: 'an inner port',
      attempt: 'the Host header names another port',
      conversation: tunnelled('an inner port', SINK, `${SINK}:444`),
      refused: [421],
    }),
    refusal({
      ...{ name: 'a tunnel in a tunnel', attempt: 'CONNECT inside the tunnel' },
      conversation: { send: connect(`${SINK}:${port}`), tunnel: { name: SINK, send: connect('elsewhere.canary.test:443') } },
      refused: [405],
    }),
    refusal({
      ...{ name: 'an absolute target inside', attempt: 'GET https://elsewhere… inside the tunnel' },
      conversation: {
        send: connect(`${SINK}:${port}`),
        tunnel: { name: SINK, send: plain('elsewhere.canary.test', markOf('an absolute target inside')) },
      },
      refused: [400, 421],
    }),
    refusal({
      ...{ name: 'SSH in a tunnel', attempt: 'bytes that are no TLS' },
      conversation: { send: connect(`${SINK}:${port}`), tunnel: { raw: 'SSH-2.0-probe\r\n' } },
      refused: [403],
    }),
    refusal({
      ...{ name: 'plain http in a tunnel', attempt: 'a request without TLS' },
      conversation: {
        send: connect(`${SINK}:${port}`),
        tunnel: { raw: inner(SINK, `/open${markOf('plain http in a tunnel')}`) },
      },
      refused: [403],
    }),
    refusal({
      ...{ name: 'another TLS name in an unopened tunnel', attempt: 'the hello of a granted tunnel names another host' },
      conversation: through('tunnel.canary.test', 'another TLS name in an unopened tunnel', { sni: 'elsewhere.canary.test' }),
      refused: [403, 421, null],
    }),
    refusal({
      ...{ name: 'no TLS name in an unopened tunnel', attempt: 'the hello of a granted tunnel names nobody' },
      conversation: through('tunnel.canary.test', 'no TLS name in an unopened tunnel', { sni: null }),
      refused: [403, 421, null],
    }),
    refusal({
      ...{ name: 'plain http in an unopened tunnel', attempt: 'bytes that are no TLS, to a granted tunnel' },
      conversation: {
        send: connect(`tunnel.canary.test:${port}`),
        tunnel: { raw: inner('tunnel.canary.test', `/open${markOf('plain http in an unopened tunnel')}`) },
      },
      refused: [403, 421, null],
    }),
    refusal({
      ...{ name: 'port beside a granted service', attempt: 'another port of the host of a granted service' },
      conversation: { send: connect(`service.canary.test:${NEXT_PORT}`) },
      refused: [403],
    }),
    refusal({
      ...{ name: 'a granted service in the clean room', attempt: 'a granted service, in a phase in which it is not open' },
      round: 'verify',
      conversation: { send: connect(`service.canary.test:${port}`) },
      refused: [403],
    }),
    passing({
      ...{ class: 'egress', name: 'a TLS hello in pieces', attempt: 'the hello is spread over many records' },
      expected: 'read as one: the permitted request passes under its name',
      conversation: {
        send: connect(`${SINK}:${port}`),
        tunnel: { name: SINK, send: inner(`${SINK}:${port}`, `/open${markOf('a TLS hello in pieces')}`), pieces: true },
      },
      judge: ({ status, rows }) => status === 200 && rows.every((row) => row.host === SINK),
    }),
    refusal({
      ...{ name: 'another TLS name in pieces', attempt: 'a hello over many records that names another host' },
      conversation: {
        send: connect(`${SINK}:${port}`),
        tunnel: {
          name: 'elsewhere.canary.test',
          send: inner(`${SINK}:${port}`, `/open${markOf('another TLS name in pieces')}`),
          pieces: true,
        },
      },
      refused: [421, null],
    }),
    passing({
      ...{
        class: 'egress',
        name: 'a second request behind a permitted one',
        attempt: 'two requests at once, the second to another host',
      },
      expected: 'the outside sees at most the first',
      conversation: {
        send: connect(`${SINK}:${port}`),
        tunnel: {
          name: SINK,
          send:
            `GET /open${markOf('a second request behind a permitted one')} HTTP/1.1\r\nHost: ${SINK}:${port}\r\n\r\n` +
            inner('elsewhere.canary.test', `/open${markOf('a second request behind a permitted one')}second`),
        },
      },
      judge: ({ reached }) => reached.length === 1 && reached.every(({ url }) => !url.endsWith('second')),
    }),
  ];
}
