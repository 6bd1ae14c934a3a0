import { CLOSED, connect, inner, LISTED_LITERAL, markOf, OUTWARD, plain, type Round, SINK, UNLISTED } from './door-ground.ts';
import { type DoorProbe, passing, port, refusal, through } from './door-probe.ts';

/** Spellings of this machine's loopback: each has the verdict of its canonical form. */
const SPELLINGS = [
  ...['127.0.0.1', '127.1', '0x7f.1', '0x7f000001', '2130706433', '017700000001', '127.0.0.1.', '0', '0.0.0.0'],
  ...['[::1]', '[::]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[0:0:0:0:0:0:0:1]'],
];

export function addresses(): DoorProbe[] {
  return [
    ...SPELLINGS.map((host) =>
      refusal({
        name: `address ${host}`,
        attempt: `CONNECT to ${host}, which no rule opens`,
        conversation: {
          send: connect(`${host}:${port}`),
          tunnel: { name: null, send: inner(host, `/open${markOf(`address ${host}`)}`) },
        },
        refused: [403],
      }),
    ),
    refusal({
      ...{ name: 'listed, but at itself', attempt: `a rule names ${LISTED_LITERAL}, and opens no private network` },
      conversation: {
        send: connect(`${LISTED_LITERAL}:${port}`),
        tunnel: { name: null, send: inner(`${LISTED_LITERAL}:${port}`, markOf('listed, but at itself')) },
      },
      refused: [403],
      saying: /does not open/,
    }),
    ...Object.entries(CLOSED).map(([label, address]) => listedAt('setup', label, address)),
    ...Object.entries(OUTWARD).map(([label, address]) => listedAt('outward', label, address)),
  ];
}

function listedAt(round: Round, label: string, address: string): DoorProbe {
  const name = `listed, but at ${address}`;
  const host = `${label}.closed.canary.test`;
  return refusal({
    ...{ name, round, class: label.startsWith('metadata') ? 'metadata' : 'egress' },
    attempt: `a request to a listed name that resolves to ${address}`,
    conversation: { send: connect(`${host}:${port}`), tunnel: { name: host, send: inner(`${host}:${port}`, markOf(name)) } },
    refused: [403],
    saying: /does not open/,
  });
}

export function names(): DoorProbe[] {
  const bad: readonly (readonly [string, string])[] = [
    [`${SINK}\0.evil.test`, 'a NUL in the host'],
    [`${SINK}%00.evil.test`, 'an encoded NUL in the host'],
    [`s\xefnk.canary.test`, 'a host that is not ASCII'],
    [`evil.test@${SINK}`, 'a user before the host'],
    [`${SINK}#evil.test`, 'a fragment in the host'],
    [`${SINK}/evil.test`, 'a slash in the host'],
    [`${SINK}\\evil.test`, 'a backslash in the host'],
    [`${SINK}\t`, 'a tab in the host'],
    [`-${SINK}`, 'a host that begins like an option'],
    [`${'a'.repeat(64)}.test`, 'a label that is too long'],
    ['', 'no host'],
  ];
  return [
    ...UNLISTED.map(([host, attempt]) =>
      refusal({
        name: `name ${host}`,
        attempt: `${attempt}: ${host}`,
        conversation: through(host, `name ${host}`),
        refused: [403],
      }),
    ),
    ...bad.map(([host, attempt]) =>
      refusal({
        ...{ name: attempt, attempt: `CONNECT to ${JSON.stringify(host)}` },
        conversation: { send: connect(`${host}:${port}`), tunnel: { name: null, send: inner(SINK, `/open${markOf(attempt)}`) } },
        refused: [400],
      }),
    ),
    ...[SINK.toUpperCase(), `${SINK}.`].map((host) =>
      passing({
        ...{ class: 'egress', name: `one spelling for ${host}`, attempt: 'a listed host in another spelling' },
        expected: 'decided, dialled and recorded under its canonical name',
        conversation: {
          send: connect(`${host}:${port}`),
          tunnel: { name: SINK, send: inner(`${host}:${port}`, `/open${markOf(`one spelling for ${host}`)}`) },
        },
        judge: ({ status, rows, reached }, ground) =>
          status === 200 &&
          rows.every((row) => row.host === SINK) &&
          reached[0]?.headers.host === `${SINK}:${ground.outside.web.port}`,
      }),
    ),
  ];
}

export function metadata(): DoorProbe[] {
  const spellings = [
    ...['169.254.169.254', '2852039166', '0xa9fea9fe', '0251.0376.0251.0376', '169.254.43518', '[::ffff:169.254.169.254]'],
    ...['[fd00:ec2::254]', '168.63.129.16', '100.100.100.200', 'metadata.google.internal', 'metadata', 'instance-data'],
  ];
  return spellings.map((host) =>
    refusal({
      ...{ class: 'metadata', round: 'outward', name: `metadata at ${host}`, attempt: `GET http://${host}/latest/meta-data/` },
      conversation: { send: plain(host, `/latest/meta-data${markOf(`metadata at ${host}`)}`, 'Metadata: true\r\n') },
      refused: [403],
    }),
  );
}

export function nameServices(): DoorProbe[] {
  const asked: readonly (readonly [string, number])[] = [
    ...[['dns.google', 443] as const, ['cloudflare-dns.com', 443] as const],
    ...[['198.51.100.53', 53] as const, ['198.51.100.53', 853] as const, ['127.0.0.11', 53] as const],
  ];
  return asked.map(([host, at]) =>
    refusal({
      ...{ class: 'dns', round: 'outward', name: `resolver ${host}:${at}` },
      attempt: 'a question to a resolver through the door, by HTTPS, TLS or TCP',
      conversation: {
        send: connect(`${host}:${at}`),
        tunnel: { name: host, send: inner(host, `/dns-query${markOf(`resolver ${host}:${at}`)}`) },
      },
      refused: [403],
    }),
  );
}
