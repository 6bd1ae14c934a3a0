/** Rows 8, 9, 11, 15, 16 and 24 where bytes pass unopened: tunnels, and services of other protocols. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import tls from 'node:tls';
import { checkedLookup } from '../../src/door/address.ts';
import type { Door, DoorDecision } from '../../src/door/door.ts';
import { type EgressRule, ServiceRule, TunnelRule } from '../../src/policy/egress.ts';
import { extension, inTwoRecords, nodeHello, record, serverName, withExtensions } from '../door/hellos.ts';
import { all, cagedProcess, outside, type Rig, statusOf, temporary, tunnel, within } from '../e2e/door-rig.ts';
import type { EscapeCase, Observation } from './cases.ts';
import { type DoorTarget, HERE } from './door-rig.ts';
import { shared } from './shared.ts';

type Case = EscapeCase<DoorTarget>;
const OPEN = { phases: ['setup'], privateAddresses: ['127.0.0.0/8'] };
const METADATA = '169.254.169.254';

const tunnels = (host: string, port: number, change: object = OPEN): EgressRule =>
  TunnelRule.parse({ how: 'tunnel', id: `tunnel:${host}`, host, ports: [port], ...change });
const service = (host: string, port: number, change: object = OPEN): EgressRule =>
  ServiceRule.parse({ how: 'service', id: `service:${host}`, host, port, listen: 15432, ...change });

/** One door for all: open rules, and others that open no private network. */
const opened = shared(async ({ up, plain, open }: DoorTarget): Promise<Rig> => {
  const rules = [
    ...[tunnels('up.test', up.port), tunnels(HERE, up.port), service('db.test', plain.port)],
    ...[tunnels('inner.test', up.port, {}), tunnels('metadata.test', up.port, {}), tunnels('localhost', up.port, {})],
    ...[service('inner-db.test', plain.port, {}), service('metadata-db.test', plain.port, {})],
    ...[service('localhost', plain.port, {})],
  ];
  const at = { 'up.test': HERE, 'db.test': HERE, 'inner.test': HERE, 'inner-db.test': HERE, 'other.test': HERE };
  const it = await open({ rules, hosts: { ...at, 'metadata.test': METADATA, 'metadata-db.test': METADATA } });
  await it.door.set({ phase: 'setup' });
  return it;
});

const connections = ({ up, plain }: DoorTarget): number => up.connections() + plain.connections();

interface Came {
  readonly status: number;
  readonly reached: number;
  readonly row: DoorDecision;
}

/** Asks for a tunnel and sends these first bytes; the last status that came back, and who was connected to. */
async function send(target: DoorTarget, authority: string, bytes: Buffer): Promise<Came> {
  const { door, rows, row } = await opened(target);
  const [before, known] = [connections(target), rows.length];
  const { socket, status, text } = await tunnel(door, authority);
  if (status === 200) socket.end(bytes);
  const said = status === 200 ? await all(socket) : text;
  socket.destroy();
  // The row of a control that passed may come late, in between.
  let decided = await row(known + 1);
  for (let count = known + 2; decided.verdict === 'allowed'; count++) decided = await row(count);
  return { status: statusOf(said), reached: connections(target) - before, row: decided };
}

/** TLS with the outside itself: its certificate is seen, not the door's. */
async function handshake(door: Door, authority: string): Promise<tls.TLSSocket> {
  const { socket } = await tunnel(door, authority);
  const secure = tls.connect({ socket, servername: authority.replace(/:\d+$/, ''), ca: outside.certificate });
  secure.on('error', () => {});
  await within('the outside’s own certificate', once(secure, 'secureConnect'));
  return secure;
}

/** The right name through the same rule. */
async function passing(target: DoorTarget): Promise<Observation['control']> {
  const { door } = await opened(target);
  const before = target.up.connections();
  const secure = await handshake(door, `up.test:${target.up.port}`);
  secure.destroy();
  return { worked: target.up.connections() === before + 1, how: 'the right name shook hands through the same rule' };
}

const judged = ({ status, reached, row }: Came, expected: number): Pick<Observation, 'held' | 'seen'> => ({
  held: status === expected && reached === 0 && row.verdict === 'refused' && row.status === expected,
  seen: `${status}, ${reached} connections; ${row.reason}`,
});

const named = () => nodeHello({ servername: 'up.test' });
const nameless = () => nodeHello({});
const adding =
  (block: Buffer, hello = named) =>
  async () =>
    withExtensions(await hello(), (known) => Buffer.concat([known, block]));
const HELLOS: readonly (readonly [name: string, hello: () => Promise<Buffer>, authority?: string])[] = [
  ['another name', () => nodeHello({ servername: 'other.test' })],
  ['a longer name that begins with it', () => nodeHello({ servername: 'up.test.evil.test' })],
  ['no name', nameless],
  ['two names', adding(serverName('up.test', 'other.test'), nameless)],
  ['two names, the other one first', adding(serverName('other.test', 'up.test'), nameless)],
  ['the name twice, in two extensions', adding(serverName('other.test'))],
  ['a name cut by a zero byte', adding(serverName('up.test\0.other.test'), nameless)],
  ['an encrypted hello (0xfe0d)', adding(extension(0xfe0d, Buffer.alloc(32)))],
  ['an encrypted name of the older draft (0xffce)', adding(extension(0xffce, Buffer.alloc(32)))],
  ['a hello over two records', async () => inTwoRecords(await named(), 60)],
  ['a hello whose second record begins in its head', async () => inTwoRecords(await named(), 1)],
  ['half a hello', async () => (await named()).subarray(0, 100)],
  ['another handshake message', async () => record(Buffer.from([2, 0, 0, 0]))],
  ['an address as the tunnel’s host, and a name in the hello', named, HERE],
];

const hellos = HELLOS.map(
  ([name, hello, authority = 'up.test']): Case => ({
    row: 9,
    name: `a tunnel with ${name}`,
    attempt: `CONNECT ${authority} under a tunnel rule, then ${name}`,
    expected: '421, and the outside is not even connected to',
    async run(target) {
      const came = await send(target, `${authority}:${target.up.port}`, await hello());
      return { ...judged(came, 421), control: await passing(target) };
    },
  }),
);

const FOREIGN: readonly (readonly [name: string, bytes: Buffer])[] = [
  ['SSH', Buffer.from('SSH-2.0-OpenSSH_9.2\r\n')],
  ['plain HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: up.test\r\n\r\n')],
  ['a hello of SSL 2', Buffer.from([0x80, 0x2e, 1, 0, 2])],
  ['another CONNECT', Buffer.from('CONNECT other.test:443 HTTP/1.1\r\nHost: other.test\r\n\r\n')],
];

const foreign = FOREIGN.map(
  ([name, bytes]): Case => ({
    row: 11,
    name: `a tunnel with ${name} in it`,
    attempt: `${name} in place of TLS under a tunnel rule`,
    expected: '403, and the outside is not even connected to',
    async run(target) {
      return { ...judged(await send(target, `up.test:${target.up.port}`, bytes), 403), control: await passing(target) };
    },
  }),
);

/** Anything that is not HTTP to the door, through the service's rule. */
async function served(target: DoorTarget): Promise<Observation['control']> {
  const { door } = await opened(target);
  const { socket, status } = await tunnel(door, `db.test:${target.plain.port}`);
  socket.write('GET /served HTTP/1.1\r\nHost: db.test\r\nConnection: close\r\n\r\n');
  const text = await all(socket);
  return { worked: status === 200 && text.includes('outside'), how: `the service itself answered: ${text.split('\r\n')[0]}` };
}

const BESIDE: readonly (readonly [row: number, name: string, authority: (target: DoorTarget) => string])[] = [
  [8, 'another port of a service', ({ plain }) => `db.test:${plain.port + 1}`],
  [8, 'another port of a tunnel', ({ up }) => `up.test:${up.port + 1}`],
  [5, 'another host at a service’s port', ({ plain }) => `other.test:${plain.port}`],
  [5, 'a name below a service', ({ plain }) => `x.db.test:${plain.port}`],
  [2, 'the address of a service', ({ plain }) => `${HERE}:${plain.port}`],
];

const beside = BESIDE.map(
  ([row, name, authority]): Case => ({
    ...{ row, name, attempt: `CONNECT to ${name}, which no rule opens` },
    expected: '403, and nothing is connected to',
    async run(target) {
      return { ...judged(await send(target, authority(target), await named()), 403), control: await served(target) };
    },
  }),
);

const INNER: readonly (readonly [row: number, name: string, host: string])[] = [
  [15, 'this machine', 'inner'],
  [15, 'this machine, as the system says', 'localhost'],
  [17, 'the cloud’s metadata', 'metadata'],
];

const inner = INNER.flatMap(([row, where, host]) =>
  (['a tunnel', 'a service'] as const).map(
    (what): Case => ({
      row,
      name: `${what} to a name that resolves to ${where}`,
      attempt: `CONNECT to a listed name at ${where}; its rule opens no private network`,
      expected: '403 with the address, and no connection',
      async run(target) {
        const isTunnel = what === 'a tunnel';
        const port = isTunnel ? target.up.port : target.plain.port;
        const ask = async (name: string) => {
          const full = name === 'localhost' ? name : `${name}${isTunnel ? '' : '-db'}.test`;
          return send(target, `${full}:${port}`, await nodeHello({ servername: full }));
        };
        const control = isTunnel ? await passing(target) : await served(target);
        // An address of another machine is named only to a door that refuses those of this one.
        const first = await ask('inner');
        const came = first.status === 403 && first.reached === 0 ? await ask(host) : first;
        const { held, seen } = judged(came, 403);
        const address = host === 'metadata' ? METADATA : /^(?:127\.0\.0\.1|::1)$/;
        return { held: held && new RegExp(address).test(came.row.address ?? ''), seen, control };
      },
    }),
  ),
);

const turning = (
  [
    ['a tunnel', tunnels],
    ['a service', service],
  ] as const
).map(
  ([what, rule]): Case => ({
    row: 16,
    name: `${what} whose name turns after it was checked`,
    attempt: 'a public address first, loopback after it',
    expected: 'one question for each connection; the address that was checked is the one that is dialled',
    async run() {
      const answers = ['203.0.113.9', HERE];
      let asked = 0;
      const hosts = Object.defineProperty({}, 'flip.test', { enumerable: true, get: () => answers[asked++ % 2] });
      const opens = rule('flip.test', 443, {});
      if (opens.how === 'repository') throw new Error('not a rule by which anything is dialled');
      const found = () =>
        new Promise<string>((resolve) =>
          checkedLookup(opens, hosts)('flip.test', { all: true }, (error, all) => resolve(error?.message ?? JSON.stringify(all))),
        );
      const first = await found();
      const questions = asked;
      const second = await found();
      return {
        held: first.includes('203.0.113.9') && !first.includes(HERE) && questions === 1,
        seen: `${first} after ${questions} question`,
        control: { worked: /loopback/.test(second), how: `the next answer is another: ${second}` },
      };
    },
  }),
);

/** What still arrives outside once the door is gone. */
const killed: Case = {
  row: 24,
  name: 'the door is killed while a tunnel and a service stand',
  attempt: 'both go on speaking after the process that decided is gone',
  expected: 'both are cut, and nothing of it arrives outside',
  async run({ up, plain, open, teardown }) {
    const directory = temporary(teardown);
    const rules = [tunnels('up.test', up.port), service('db.test', plain.port)];
    const { door } = await open({ directory, rules, hosts: { 'up.test': HERE, 'db.test': HERE } });
    await door.set({ phase: 'setup' });
    const secure = await handshake(door, `up.test:${up.port}`);
    const { socket } = await tunnel(door, `db.test:${plain.port}`);
    const said = (stream: Socket, path: string) => stream.write(`GET ${path} HTTP/1.1\r\nHost: x.test\r\n\r\n`);
    const arrived = [once(secure, 'data'), once(socket, 'data')];
    said(secure, '/before');
    said(socket, '/before');
    await within('both answers', Promise.all(arrived));
    const cut = Promise.all([all(secure), all(socket)]);
    // The process that decides, within its cage.
    process.kill(cagedProcess(directory), 'SIGKILL');
    said(secure, '/after');
    said(socket, '/after');
    const ended = await cut.then(() => 'both cut', String);
    await door.died;
    const again = await tunnel(door, `db.test:${plain.port}`).then(
      ({ status }) => String(status),
      () => 'nobody answers',
    );
    const reached = (path: string) => [up, plain].map(({ requests }) => requests.filter(({ url }) => url === path).length);
    return {
      held: ended === 'both cut' && again === 'nobody answers' && reached('/after').every((count) => count === 0),
      seen: `${ended}; ${again}; ${reached('/after').join('+')} requests after it`,
      control: { worked: reached('/before').every((count) => count === 1), how: 'before it both arrived' },
    };
  },
};

export const CASES: readonly Case[] = [...hellos, ...foreign, ...beside, ...inner, ...turning, killed];
