/** Rows 13, 14 and 20 where the door holds a registry's credential. */
import { randomBytes } from 'node:crypto';
import { ask, type Rig, rule, type Sink, sink } from '../e2e/door-rig.ts';
import type { EscapeCase, Observation } from './cases.ts';
import { type DoorTarget, HERE } from './door-rig.ts';
import { shared } from './shared.ts';

type Case = EscapeCase<DoorTarget>;
const SECRET = `canary-${randomBytes(12).toString('hex')}`;
const PAIR = Buffer.from(`reader:${SECRET}`).toString('base64');
const KEY = `canary-${randomBytes(12).toString('hex')}`;
const OURS = [SECRET, PAIR, KEY];
const holds = (value: unknown): boolean => OURS.some((secret) => JSON.stringify(value ?? null).includes(secret));

interface Registries extends Rig {
  readonly sink: Sink;
}

/** A registry that says back what it was told, in whichever header its path names, and leads elsewhere on demand. */
const opened = shared(async ({ open, teardown }: DoorTarget): Promise<Registries> => {
  const registry = await sink(teardown, (request, response) => {
    request.resume();
    const asked = new URL(request.url ?? '/', 'https://registry.test');
    const told = request.headers.authorization ?? '';
    const forms: Readonly<Record<string, string>> = {
      whole: told,
      pair: told.slice(6),
      clear: Buffer.from(told.slice(6), 'base64').toString(),
      within: `seen ${told}; q=1`,
      key: String(request.headers['x-registry-key'] ?? ''),
    };
    const to = asked.searchParams.get('to');
    const said = forms[asked.searchParams.get('form') ?? ''] ?? '';
    const header = asked.searchParams.get('in') ?? 'x-echo';
    const headers = {
      'x-plain': 'kept',
      [header]: header === 'location' ? `https://${to}/?t=${encodeURIComponent(said)}` : said,
    };
    response.writeHead(to === null ? 200 : 302, headers).end('registry');
  });
  const at = (host: string, id: string, change = {}) => rule(host, registry.port, { id, ...change });
  const it = await open({
    rules: [
      at('registry.test', 'private', { paths: ['/private'] }),
      at('registry.test', 'public', { paths: ['/public'] }),
      at('keyed.test', 'keyed', { methods: ['GET', 'TRACE'] }),
      at('other.test', 'other'),
    ],
    hosts: Object.fromEntries(['registry.test', 'keyed.test', 'other.test', 'unlisted.test'].map((name) => [name, HERE])),
    credentials: {
      private: { header: 'authorization', value: `Basic ${PAIR}` },
      keyed: { header: 'x-registry-key', value: KEY },
    },
  });
  await it.door.set({ phase: 'setup' });
  return { ...it, sink: registry };
});

/** The answer, and the headers of what arrived outside; null when nothing did. */
async function get(target: DoorTarget, host: string, path: string, options: Parameters<typeof ask>[3] = {}) {
  const { door, sink: registry } = await opened(target);
  const before = registry.requests.length;
  const answer = await ask(door, `${host}:${registry.port}`, path, options);
  return { ...answer, arrived: registry.requests.slice(before)[0]?.headers ?? null };
}

/** With the rule's own host and path it is added. */
async function added(target: DoorTarget): Promise<Observation['control']> {
  const { arrived } = await get(target, 'registry.test', '/private');
  return { worked: arrived?.authorization === `Basic ${PAIR}`, how: 'the rule’s own request arrived with it' };
}

const ELSEWHERE: readonly (readonly [name: string, host: string, path: string])[] = [
  ['another path of its host', 'registry.test', '/public'],
  ['another host of the same address', 'other.test', '/private'],
  ['a host with another credential', 'keyed.test', '/private'],
];

const elsewhere = ELSEWHERE.map(
  ([name, host, path]): Case => ({
    row: 20,
    name: `a rule’s credential at ${name}`,
    attempt: `GET ${host}${path}, which another rule lets pass`,
    expected: 'it passes without that credential',
    async run(target) {
      const { status, arrived } = await get(target, host, path);
      const told = JSON.stringify(arrived);
      return {
        held: status === 200 && arrived !== null && !told.includes(PAIR) && !told.includes(SECRET),
        seen: `${status}; authorization: ${arrived?.authorization ?? 'none'}`,
        control: await added(target),
      };
    },
  }),
);

const BROUGHT = [
  ...['authorization', 'cookie', 'x-api-key', 'private-token', 'x-gitlab-token', 'job-token', 'x-jfrog-art-api'],
  ...['proxy-authorization', 'x-registry-key', 'x-auth-token'],
];

const brought = BROUGHT.flatMap((header) =>
  (['/private', '/public'] as const).map(
    (path): Case => ({
      row: 20,
      name: `the sandbox brings its own ${header} ${path === '/private' ? 'where there is one' : 'where there is none'}`,
      attempt: `GET ${path} with ${header}: stolen`,
      expected: path === '/private' ? 'ours arrives in its place, or nothing' : 'nothing of it arrives',
      async run(target) {
        const { status, arrived } = await get(target, header === 'x-registry-key' ? 'keyed.test' : 'registry.test', path, {
          headers: { [header]: 'Bearer stolen', 'x-other': 'passes' },
        });
        return {
          held: status === 200 && arrived !== null && !JSON.stringify(arrived).includes('stolen'),
          seen: `${status}; ${header}: ${arrived?.[header] ?? 'none'}`,
          control: { worked: arrived?.['x-other'] === 'passes', how: 'another header of the same request arrived' },
        };
      },
    }),
  ),
);

const ECHOES: readonly (readonly [name: string, host: string, path: string])[] = [
  ['in a header of its own', 'registry.test', '/private?form=whole'],
  ['in a cookie', 'registry.test', '/private?form=whole&in=set-cookie'],
  ['without its scheme', 'registry.test', '/private?form=pair'],
  ['as the pair in clear', 'registry.test', '/private?form=clear'],
  ['within other words', 'registry.test', '/private?form=within'],
  ['in the header that challenges', 'registry.test', '/private?form=within&in=www-authenticate'],
  ['in where it leads to', 'registry.test', '/private?form=whole&in=location&to=other.test'],
  ['of a header of its own', 'keyed.test', '/?form=key'],
];

const echoes = ECHOES.map(
  ([name, host, path]): Case => ({
    row: 13,
    name: `a registry tells the credential back, ${name}`,
    attempt: `GET ${path}, whose answer holds it ${name}`,
    expected: 'the answer arrives without it',
    async run(target) {
      const { status, headers, body, arrived } = await get(target, host, path);
      return {
        held: !holds(headers) && !holds(body) && headers['x-plain'] === 'kept',
        seen: `${status} ${JSON.stringify(headers)}`,
        control: { worked: holds(arrived), how: 'the registry had it, and its other header arrived' },
      };
    },
  }),
);

const trace: Case = {
  row: 13,
  name: 'TRACE at a registry with a credential, where its rule lists the method',
  attempt: 'TRACE, which would say the request back',
  expected: '405, and nothing arrives',
  async run(target) {
    const { status, arrived } = await get(target, 'keyed.test', '/', { method: 'TRACE' });
    const control = await get(target, 'keyed.test', '/');
    return {
      held: status === 405 && arrived === null,
      seen: `${status}, ${arrived === null ? 'nothing' : 'something'} arrived`,
      control: { worked: control.arrived?.['x-registry-key'] === KEY, how: `GET there: ${control.status}, with it` },
    };
  },
};

const redirects = (['other.test', 'unlisted.test'] as const).map(
  (to): Case => ({
    row: 14,
    name: `a registry with a credential leads to ${to === 'other.test' ? 'another listed host' : 'a host that no rule names'}`,
    attempt: `the client follows the answer’s location to ${to}`,
    expected: to === 'other.test' ? 'the second hop is decided anew, and gets no credential' : 'the second hop is refused: 403',
    async run(target) {
      const first = await get(target, 'registry.test', `/private?in=location&to=${to}`);
      const led = first.headers.location?.startsWith(`https://${to}/`) === true;
      const { status, arrived } = await get(target, to, '/');
      const held =
        to === 'other.test' ? status === 200 && arrived !== null && !holds(arrived) : status === 403 && arrived === null;
      return {
        held,
        seen: `${status}; ${arrived === null ? 'nothing arrived' : `authorization: ${arrived.authorization ?? 'none'}`}`,
        control: { worked: first.status === 302 && led && holds(first.arrived), how: 'the first hop had it, and led there' },
      };
    },
  }),
);

const recorded: Case = {
  row: 13,
  name: 'credentials of registries in the ledger',
  attempt: 'rows and their reasons tell of every request that had one',
  expected: 'the values are in none of them',
  async run(target) {
    const { rows } = await opened(target);
    await get(target, 'registry.test', '/private');
    const told = rows.filter(({ rule: id }) => id === 'private' || id === 'keyed');
    return {
      held: !holds(rows),
      seen: `${rows.length} rows`,
      control: { worked: told.length > 0, how: `${told.length} rows of requests that had one` },
    };
  },
};

export const CASES: readonly Case[] = [...elsewhere, ...brought, ...echoes, trace, ...redirects, recorded];
