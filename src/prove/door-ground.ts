import { z } from 'zod';
import type { Door, DoorDecision, DoorOptions, DoorState } from '../door/door.ts';
import { EgressRule } from '../policy/egress.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { runInside } from './inside.ts';
import { RELAY_PORT } from './inside-ground.ts';
import type { Outside } from './outside.ts';

/** What is said to the door, byte by byte, from inside the sandbox. Strings stand for bytes (Latin-1). */
export interface Conversation {
  readonly send: string;
  /** What follows once a CONNECT was answered 200. */
  readonly tunnel?:
    | { readonly raw: string }
    | {
        /** The name in the TLS hello; null for none. */
        readonly name: string | null;
        readonly send: string;
        /** The hello is spread over many TLS records. */
        readonly pieces?: boolean;
      };
  /** Seconds to wait for an answer. */
  readonly wait?: number;
}

/** What came of a conversation, seen from all three sides. */
export interface Came {
  /** The last status inside; null where nothing that is HTTP came back. */
  readonly status: number | null;
  readonly text: string;
  /** The door's rows that bear this conversation's mark. */
  readonly rows: readonly DoorDecision[];
  /** Requests with its mark that reached the outside. */
  readonly reached: Outside['web']['requests'];
}

/**
 * Rounds of conversations, each in one state of the door and one run inside. `outward` names real addresses and is held
 * only when the rounds before it have shown that the door refuses: a broken one must not send anything to them.
 */
export type Round = 'setup' | 'outward' | 'agent' | 'verify' | 'shut';

export interface DoorGround {
  readonly outside: Outside;
  readonly modelKey: string;
  readonly credential: string;
  /** What came of a conversation of a round; null where the round was not held. */
  came(round: Round, name: string): Promise<Came | null>;
  /** The permitted request of the same run: what shows that a refused one could have passed. */
  control(): Promise<Came | null>;
}

export const SINK = 'sink.canary.test';
const HERE = '127.0.0.1';
/** An address that a rule names without opening its network. */
export const LISTED_LITERAL = '127.5.5.5';
const CREDENTIALED = 'prove:credential';

/** Names of the canary's domain and the addresses that the door finds for them instead of asking anybody. */
export const CLOSED: Readonly<Record<string, string>> = {
  loopback: HERE,
  'loopback-else': '127.9.9.9',
  'loopback-v6': '::1',
  mapped: '::ffff:127.0.0.1',
  unspecified: '0.0.0.0',
};
export const OUTWARD: Readonly<Record<string, string>> = {
  ten: '10.0.0.1',
  'seventeen-two': '172.16.0.1',
  'nineteen-two': '192.168.0.1',
  shared: '100.64.0.1',
  'link-local': '169.254.7.7',
  metadata: '169.254.169.254',
  'metadata-azure': '168.63.129.16',
  'metadata-alibaba': '100.100.100.200',
  'metadata-v6': 'fd00:ec2::254',
  'link-local-v6': 'fe80::1',
  'unique-local': 'fd12::1',
  nat64: '64:ff9b::a00:1',
  multicast: '224.0.0.1',
  benchmark: '198.18.0.1',
  reserved: '240.0.0.1',
};

/** The canary's own rules; they stand beside the operator's. */
export function canaryRules(port: number): EgressRule[] {
  const open = { ports: [port], privateAddresses: ['127.0.0.0/8'] };
  const rules: unknown[] = [
    { id: 'prove:open', host: SINK, paths: ['/open'], ...open },
    { id: 'prove:wild', host: '*.wild.canary.test', ...open },
    { id: 'prove:closed', host: '*.closed.canary.test', ports: [port, 80] },
    { id: 'prove:literal', host: LISTED_LITERAL, ports: [port] },
    { id: 'prove:expired', host: 'expired.canary.test', expires: '2020-01-01T00:00:00Z', ...open },
    { id: 'prove:agent', host: 'later.canary.test', phases: ['agent'], ...open },
    { id: CREDENTIALED, host: 'secret.canary.test', credential: { env: 'COATCHECK_PROVE' }, ...open },
    { id: 'prove:tunnel', how: 'tunnel', host: 'tunnel.canary.test', ...open },
    {
      id: 'prove:service',
      how: 'service',
      host: 'service.canary.test',
      port,
      listen: 15432,
      privateAddresses: open.privateAddresses,
    },
  ];
  return rules.map((rule) => EgressRule.parse(rule));
}

/** Names that no rule covers, each near to one that is covered. */
export const UNLISTED: readonly (readonly [string, string])[] = [
  ['elsewhere.canary.test', 'a host that no rule names'],
  [`evil${SINK}`, 'a longer name that ends like a listed one'],
  [`${SINK}.evil.test`, 'a longer name that begins like a listed one'],
  ['canary.test', 'the domain above a listed host'],
  ['wild.canary.test', 'the domain of a wildcard itself'],
  ['a.b.wild.canary.test', 'two labels below a wildcard'],
  [`x.${SINK}`, 'a label below a listed host'],
  ['sink-canary.test', 'another letter where a dot is'],
  ['xn--snk-pla.canary.test', 'a look-alike in punycode'],
  ['expired.canary.test', 'a host whose rule has expired'],
  ['localhost', 'this machine by name'],
];

/** Every name that a probe or a rule of the operator's mentions, with an address of this machine or one that is refused. */
export function canaryHosts(rules: readonly EgressRule[]): Record<string, string> {
  const named = rules.flatMap((rule) => ('host' in rule && !rule.host.startsWith('*') ? [[rule.host, HERE] as const] : []));
  const closed = Object.entries({ ...CLOSED, ...OUTWARD }).map(([name, address]) => [`${name}.closed.canary.test`, address]);
  // Unlisted ones too: a door that let them through must find them here, and ask nobody.
  const others = ['dns.google', 'cloudflare-dns.com', 'metadata.google.internal', 'metadata', 'instance-data'];
  return {
    ...Object.fromEntries([...[...others, ...UNLISTED.map(([name]) => name)].map((name) => [name, HERE]), ...named, ...closed]),
    'a.wild.canary.test': HERE,
  };
}

export const canaryCredentials = (value: string): DoorOptions['credentials'] => ({
  [CREDENTIALED]: { header: 'authorization', value: `Bearer ${value}` },
});

export interface Talk {
  readonly sandbox: Pick<Sandbox, 'exec'>;
  readonly door: Pick<Door, 'set'>;
  /** The door's rows so far; grows. */
  readonly rows: readonly DoorDecision[];
  readonly outside: Outside;
  readonly modelKey: string;
  readonly credential: string;
  readonly conversations: Readonly<Record<Round, ReadonlyMap<string, Conversation>>>;
}

const Line = z.object({ name: z.string(), status: z.number().nullable(), text: z.string() });
const CONTROL = 'the permitted request';

/** Stand in a conversation for the outside's port and the one beside it. */
export const PORT = '{port}';
export const NEXT_PORT = '{port+1}';

const withPorts = (given: readonly [string, Conversation][], port: number): unknown =>
  JSON.parse(
    JSON.stringify(given.map(([name, one]) => ({ name, ...one })))
      .replaceAll(PORT, String(port))
      .replaceAll(NEXT_PORT, String(port + 1)),
  );

/** A request in absolute form, as to a proxy. */
export const plain = (host: string, path: string, more = ''): string =>
  `GET http://${host}${path} HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`;
export const connect = (authority: string): string => `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`;
export const inner = (host: string, path: string, method = 'GET', more = ''): string =>
  `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`;

/** The mark of a conversation: in its path, or its host where nothing else is told. */
export const markOf = (name: string): string => `/m/${name.replaceAll(/[^a-z0-9]+/gi, '-')}/`;

/** What the probes of each round say, by their names. */
export function conversationsOf(
  probes: readonly { readonly name: string; readonly round: Round; readonly conversation: Conversation }[],
): Talk['conversations'] {
  const of = (round: Round) =>
    new Map(probes.filter((probe) => probe.round === round).map(({ name, conversation }) => [name, conversation]));
  return { setup: of('setup'), outward: of('outward'), agent: of('agent'), verify: of('verify'), shut: of('shut') };
}

/** Holds the rounds, each when it is first asked for. */
export function talkToDoor(talk: Talk): DoorGround {
  const rounds = new Map<Round, Promise<Map<string, Came> | null>>();
  const states: Readonly<Record<Round, DoorState>> = {
    setup: { phase: 'setup' },
    outward: { phase: 'setup' },
    agent: { phase: 'agent', model: { url: talk.outside.model.url, key: talk.modelKey } },
    verify: { phase: 'verify' },
    shut: { phase: 'shut' },
  };
  // The door is in one state at a time.
  let turn: Promise<unknown> = Promise.resolve();
  const round = (which: Round): Promise<Map<string, Came> | null> => {
    const known = rounds.get(which);
    if (known !== undefined) return known;
    const after = which === 'outward' ? round('setup') : null;
    const held = turn.then(async () => {
      if (after !== null && !refusesSafely(await after)) return null;
      return hold(talk, which, states[which]);
    });
    rounds.set(which, held);
    turn = held.catch(() => {});
    return held;
  };
  const { outside, modelKey, credential } = talk;
  const came = async (which: Round, name: string) => (await round(which))?.get(name) ?? null;
  return { outside, modelKey, credential, came, control: () => came('setup', CONTROL) };
}

/** Whether nothing that had to be refused was let through to this machine: only then are other addresses named. */
function refusesSafely(setup: ReadonlyMap<string, Came> | null): boolean {
  if (setup === null) return false;
  const asked = [...setup].filter(([name]) => name.startsWith('address ') || name.startsWith('listed, but at '));
  return asked.length > 0 && asked.every(([, { status, reached }]) => status === 403 && reached.length === 0);
}

async function hold({ sandbox, door, rows, outside, conversations }: Talk, round: Round, state: DoorState) {
  await door.set(state);
  const [firstRow, firstRequest] = [rows.length, outside.web.requests.length];
  const given: [string, Conversation][] = [...conversations[round]];
  if (round === 'setup')
    given.unshift([
      CONTROL,
      {
        send: connect(`${SINK}:${outside.web.port}`),
        tunnel: { name: SINK, send: inner(`${SINK}:${outside.web.port}`, `/open${markOf(CONTROL)}`) },
      },
    ]);
  const parameters = { relay: RELAY_PORT, conversations: withPorts(given, outside.web.port) };
  const lines = await runInside(sandbox, 'conversations', parameters, Line);
  // Rows come before the answer to a command that was given after them.
  await door.set(state);
  const [newRows, requests] = [rows.slice(firstRow), outside.web.requests.slice(firstRequest)];
  return new Map<string, Came>(
    lines.map(({ name, status, text }) => [
      name,
      {
        ...{ status, text },
        rows: newRows.filter((row) => row.path.includes(markOf(name))),
        reached: requests.filter(({ url }) => url.includes(markOf(name))),
      },
    ]),
  );
}
