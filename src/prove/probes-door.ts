import type { EgressRule } from '../policy/egress.ts';
import {
  type Came,
  CLOSED,
  type Conversation,
  connect,
  type DoorGround,
  inner,
  LISTED_LITERAL,
  markOf,
  NEXT_PORT,
  OUTWARD,
  PORT,
  plain,
  type Round,
  SINK,
  UNLISTED,
} from './door-ground.ts';
import type { Probe, ProbeClass } from './probe.ts';

/** A probe that says something to the door, and judges what came of it. */
export interface DoorProbe extends Probe<DoorGround> {
  readonly round: Round;
  readonly conversation: Conversation;
}

interface Spoken {
  readonly name: string;
  readonly attempt: string;
  readonly class?: ProbeClass;
  readonly round?: Round;
  readonly conversation: Conversation;
  /** Statuses that count as refused; null for a connection that ends without an answer. */
  readonly refused: readonly (number | null)[];
  /** What the refusal says. */
  readonly saying?: RegExp;
}

/** A conversation that must be refused, with nothing outside reached and nothing dialled. */
function refusal({ refused, saying, round = 'setup', class: kind = 'egress', ...said }: Spoken): DoorProbe {
  const expected = `${refused.map((status) => status ?? 'cut off').join(' or ')}, nothing dialled, nothing outside reached`;
  return {
    ...{ ...said, class: kind, round, expected },
    async run(ground) {
      const [came, control] = [await ground.came(round, said.name), await ground.control()];
      const how = 'the permitted request of the same run reached the outside';
      const worked = control?.status === 200 && control.reached.length === 1;
      if (came === null)
        return { held: false, seen: 'not asked: the door let through what stays on this machine', control: { worked, how } };
      const dialled = came.rows.filter((row) => row.verdict === 'allowed');
      const held =
        refused.includes(came.status) &&
        dialled.length === 0 &&
        came.reached.length === 0 &&
        (saying === undefined || saying.test(came.text));
      return { held, seen: told(came), control: { worked, how } };
    },
  };
}

function told({ status, text, reached }: Came): string {
  const body = text.split('\r\n\r\n').slice(1).join(' ').trim() || text.trim();
  return `${status ?? 'no answer'} ${body.split('\n')[0]?.slice(0, 140) ?? ''}${reached.length > 0 ? ` and ${reached.length} requests outside` : ''}`;
}

interface Passing extends Omit<Spoken, 'refused' | 'saying' | 'class'> {
  readonly class: ProbeClass;
  readonly expected: string;
  judge(came: Came, ground: DoorGround): boolean;
}

/** A conversation that may well pass; what has to hold is said by `judge`. */
function passing({ judge, round = 'setup', ...said }: Passing): DoorProbe {
  return {
    ...{ ...said, round },
    async run(ground) {
      const came = await ground.came(round, said.name);
      if (came === null) return { held: false, seen: 'not asked', control: { worked: false, how: 'the round was not held' } };
      const reached = came.reached.length + ground.outside.model.requests.length > 0;
      return {
        held: judge(came, ground),
        seen: told(came),
        control: { worked: reached, how: 'the request reached the outside' },
      };
    },
  };
}

/** Stands for the outside's port until a round is held. */
const port = PORT;

/** Every probe of the door; `rules` are the operator's own. */
export function doorProbes(rules: readonly EgressRule[]): DoorProbe[] {
  const through = (
    host: string,
    name: string,
    more: { method?: string; path?: string; headers?: string; sni?: string | null } = {},
  ) => ({
    send: connect(`${host}:${port}`),
    tunnel: {
      name: more.sni === undefined ? host : more.sni,
      send: inner(`${host}:${port}`, more.path ?? `/open${markOf(name)}`, more.method, more.headers),
    },
  });
  return [
    ...addresses(),
    ...names(through),
    ...metadata(),
    ...nameServices(),
    ...requests(through),
    ...framing(),
    ...identities(through),
    ...phases(through),
    ...registries(rules),
    ...secrets(through),
    ...repositories(),
  ];
}

type Through = (
  host: string,
  name: string,
  more?: { method?: string; path?: string; headers?: string; sni?: string | null },
) => Conversation;

/** Spellings of this machine's loopback: each has the verdict of its canonical form. */
const SPELLINGS = [
  ...['127.0.0.1', '127.1', '0x7f.1', '0x7f000001', '2130706433', '017700000001', '127.0.0.1.', '0', '0.0.0.0'],
  ...['[::1]', '[::]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[0:0:0:0:0:0:0:1]'],
];

function addresses(): DoorProbe[] {
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

function names(through: Through): DoorProbe[] {
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

function metadata(): DoorProbe[] {
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

function nameServices(): DoorProbe[] {
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

function requests(through: Through): DoorProbe[] {
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
function framing(): DoorProbe[] {
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

/** What says who is spoken to: the tunnel, the TLS hello, the Host header. */
function identities(through: Through): DoorProbe[] {
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

function phases(through: Through): DoorProbe[] {
  const closed = (round: Round): DoorProbe =>
    refusal({
      ...{ name: `the permitted host in ${round}`, attempt: `what set-up may reach, asked while the door is in ${round}`, round },
      conversation: through(SINK, `the permitted host in ${round}`),
      refused: [403],
    });
  const model = (round: Round): DoorProbe =>
    refusal({
      ...{ name: `the model in ${round}`, attempt: 'the model’s route outside of agent turns', round },
      conversation: { send: plain('model.coatcheck.internal', `/v1${markOf(`the model in ${round}`)}`) },
      refused: [403],
    });
  return [
    ...[closed('agent'), closed('verify'), closed('shut'), model('setup'), model('verify'), model('shut')],
    refusal({
      ...{ name: 'the agent’s host in set-up', attempt: 'a rule of another phase' },
      conversation: through('later.canary.test', 'the agent’s host in set-up'),
      refused: [403],
    }),
    refusal({
      ...{ name: 'the agent’s host in the clean room', attempt: 'a rule of another phase', round: 'verify' },
      conversation: through('later.canary.test', 'the agent’s host in the clean room'),
      refused: [403],
    }),
    refusal({
      ...{ name: 'the model through a tunnel', attempt: 'CONNECT to the model’s route', round: 'agent' },
      conversation: { send: connect(`model.coatcheck.internal:${port}`) },
      refused: [403],
    }),
  ];
}

/** The operator's own rules: reading a registry is no way to write to it. */
function registries(rules: readonly EgressRule[]): DoorProbe[] {
  const readable = rules.flatMap((rule) =>
    rule.how === 'inspect' && !rule.host.startsWith('*') && !rule.methods.includes('PUT') && rule.phases.includes('setup')
      ? [rule]
      : [],
  );
  return [...new Map(readable.map((rule) => [rule.host, rule])).values()].map(({ host, ports, paths, id }) => {
    const name = `publish to ${host}`;
    return refusal({
      ...{ name, attempt: `PUT where ${id} allows reading` },
      conversation: {
        send: connect(`${host}:${ports[0]}`),
        tunnel: {
          name: host,
          send: inner(
            ports[0] === 443 ? host : `${host}:${ports[0]}`,
            `${paths[0]?.replace(/\/$/, '')}${markOf(name)}`,
            'PUT',
            'Content-Length: 0\r\n',
          ),
        },
      },
      refused: [403],
      saying: /allows|only|no rule/,
    });
  });
}

/** Credentials that are used for the sandbox, and those that it brings itself. */
function secrets(through: Through): DoorProbe[] {
  const own: readonly (readonly [string, string])[] = [
    ...[['authorization', 'Bearer attacker-token'] as const, ['cookie', 'session=attacker-token'] as const],
    ...[['private-token', 'attacker-token'] as const, ['x-api-key', 'attacker-token'] as const],
    ['proxy-authorization', 'Basic attacker-token'],
  ];
  const used = 'a credential is used and not told';
  return [
    ...own.map(([header, value]) => {
      const name = `own credential in ${header}`;
      return passing({
        ...{ class: 'credentials', name, attempt: `a request with ${header} of the attacker’s` },
        expected: 'it does not reach the outside',
        conversation: through(SINK, name, { headers: `${header}: ${value}\r\n` }),
        judge: ({ reached }) => reached.every(({ headers }) => !JSON.stringify(headers).includes('attacker-token')),
      });
    }),
    passing({
      ...{ class: 'credentials', name: used, attempt: 'a request under a rule with a credential' },
      expected: 'the outside gets it, the sandbox sees nothing of it',
      conversation: through('secret.canary.test', used, { headers: 'authorization: Bearer attacker-token\r\n' }),
      judge: ({ text, reached }, { credential }) =>
        reached.length === 1 && reached[0]?.headers.authorization === `Bearer ${credential}` && !text.includes(credential),
    }),
    passing({
      ...{
        class: 'credentials',
        round: 'agent',
        name: 'the model’s key is used and not told',
        attempt: 'a request to the model',
      },
      expected: 'the gateway gets it, the sandbox sees nothing of it',
      conversation: { send: plain('model.coatcheck.internal', `/v1/messages${markOf('the model’s key')}`) },
      judge: ({ text }, { modelKey, outside }) =>
        outside.model.requests.some(({ headers }) => JSON.stringify(headers).includes(modelKey)) && !text.includes(modelKey),
    }),
  ];
}

/** Routes that serve one task's repository; here there is none. */
function repositories(): DoorProbe[] {
  const asked: readonly (readonly [string, string])[] = [
    ['git of another repository', '/other/repository.git/info/refs?service=git-upload-pack'],
    ['a push', '/canary/canary.git/info/refs?service=git-receive-pack'],
    ['git with a way up', '/canary/canary.git/../../other/repository.git/info/refs?service=git-upload-pack'],
  ];
  return asked.map(([name, path]) =>
    refusal({
      ...{ name, attempt: `GET ${path} of the git route` },
      conversation: { send: plain('git.coatcheck.internal', path) },
      refused: [400, 403, 404],
    }),
  );
}
