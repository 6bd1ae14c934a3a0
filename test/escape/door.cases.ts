/** Rows of egress that need a door of their own: other rules, another end of it, or its death. */
import { once } from 'node:events';
import { connect as dial, type Socket } from 'node:net';
import { checkedLookup } from '../../src/door/address.ts';
import { DOOR_LIMITS } from '../../src/door/door.ts';
import { InspectRule } from '../../src/policy/egress.ts';
import { parseOperatorConfig } from '../../src/policy/operator-config.ts';
import { ask, type Rig, raw, rule, statusOf, within } from '../e2e/door-rig.ts';
import type { EscapeCase, Observation } from './cases.ts';
import type { DoorTarget } from './door-rig.ts';

type DoorCase = EscapeCase<DoorTarget>;

const permitted = async ({ up, open }: DoorTarget): Promise<Observation['control']> => {
  const { door } = await open({ rules: [rule('up.test', up.port)] });
  await door.set({ phase: 'setup' });
  const { status } = await ask(door, `up.test:${up.port}`);
  await door.close();
  return { worked: status === 200, how: `with a rule the same request is answered ${status}` };
};

const ALLOWLISTS: readonly (readonly [string, string])[] = [
  ['a newline', '"a.test\\nb.test"'],
  ['a comment sign', '"a.test#b"'],
  ['a space', '"a.test b.test"'],
  ['everything', '"*"'],
  ['a whole top-level domain', '"*.com"'],
  ['a public suffix', '"*.co.uk"'],
  ['a wildcard inside', '"a.*.test"'],
  ['a scheme', '"https://a.test"'],
  ['a port', '"a.test:443"'],
  ['capitals', '"A.test"'],
];

const policyWith = (host: string): string =>
  `models: [{ name: m, dialect: openai-chat, base_url: "http://127.0.0.1/v1" }]\negress:\n  grants:\n    - id: g\n      host: ${host}\n`;

/** What reading a policy file with this host says; null when it is taken. */
function complaint(host: string): string | null {
  try {
    parseOperatorConfig(policyWith(host), 'policy.yaml');
    return null;
  } catch (thrown) {
    return String(thrown);
  }
}

const allowlists: readonly DoorCase[] = ALLOWLISTS.map(([name, host]) => ({
  ...{ row: 6, name: `an allow list with ${name}`, attempt: `egress.grants with host: ${host}` },
  expected: 'the policy is refused, with file and line',
  async run() {
    const said = complaint(host);
    const control = { worked: complaint('"a.test"') === null, how: 'an exact host at the same place is taken' };
    return { held: said !== null && /policy\.yaml:5:\d+/.test(said), seen: said ?? 'it was taken', control };
  },
}));

const nothingAllowed: readonly DoorCase[] = [
  {
    ...{ row: 7, name: 'an empty list', attempt: 'a request through a door without rules' },
    expected: '403, and the outside is not connected to',
    async run(target) {
      const { door } = await target.open();
      await door.set({ phase: 'setup' });
      const before = target.up.connections();
      const { status } = await ask(door, `up.test:${target.up.port}`);
      const reached = target.up.connections() - before;
      await door.close();
      return {
        held: status === 403 && reached === 0,
        seen: `${status}, ${reached} connections`,
        control: await permitted(target),
      };
    },
  },
  {
    ...{ row: 7, name: 'an absent list', attempt: 'a policy that says nothing of egress' },
    expected: 'no preset and no grant',
    async run() {
      const base = policyWith('a.test');
      const { egress } = parseOperatorConfig(base.slice(0, base.indexOf('egress')), 'policy.yaml');
      const { grants } = parseOperatorConfig(base, 'policy.yaml').egress;
      return {
        held: [...egress.presets, ...egress.on_request, ...egress.grants].length === 0,
        seen: JSON.stringify(egress),
        control: { worked: grants.length === 1, how: 'one that lists a grant has it' },
      };
    },
  },
  {
    ...{ row: 7, name: 'a door that nobody opened', attempt: 'a request before any phase is set' },
    expected: '403: a door starts shut',
    async run(target) {
      const { door } = await target.open({ rules: [rule('up.test', target.up.port)] });
      const { status } = await ask(door, `up.test:${target.up.port}`);
      await door.close();
      return { held: status === 403, seen: String(status), control: await permitted(target) };
    },
  },
];

/** Asks the lookup that the dialler is given, as the dialler does. */
const found = (hosts: Readonly<Record<string, string>>, opened: string[] = []): Promise<string> => {
  const opens = InspectRule.parse({ id: 'r', host: 'flip.test', privateAddresses: opened });
  return new Promise((resolve) =>
    checkedLookup(opens, hosts)('flip.test', { all: false }, (error, address) => resolve(error?.message ?? String(address))),
  );
};

/** A name whose answers take turns. */
function flipping(...answers: string[]): { hosts: Record<string, string>; asked: () => number } {
  let asked = 0;
  const hosts = Object.defineProperty({}, 'flip.test', {
    enumerable: true,
    get: () => answers[asked++ % answers.length],
  });
  return { hosts, asked: () => asked };
}

const rebinding: readonly DoorCase[] = [
  {
    ...{ row: 16, name: 'an answer that turns after it was checked', attempt: 'a public address first, loopback after it' },
    expected: 'one question; the address that was checked is the one that is dialled',
    async run() {
      const { hosts, asked } = flipping('203.0.113.9', '127.0.0.1');
      const first = await found(hosts);
      const questions = asked();
      const second = await found(hosts);
      return {
        held: first === '203.0.113.9' && questions === 1,
        seen: `${first} after ${questions} question`,
        control: { worked: /loopback/.test(second), how: `the next answer is another: ${second}` },
      };
    },
  },
  {
    ...{ row: 16, name: 'an answer that turns between two requests', attempt: 'the same listed name, loopback the second time' },
    expected: 'each answer is checked anew',
    async run() {
      const { hosts } = flipping('203.0.113.9', '169.254.169.254');
      const [first, second] = [await found(hosts), await found(hosts)];
      return {
        held: /cloud metadata/.test(second),
        seen: second,
        control: { worked: first === '203.0.113.9', how: 'the first answer was dialled' },
      };
    },
  },
  {
    ...{ row: 16, name: 'the system’s own answer', attempt: 'a listed name that the host resolves to loopback' },
    expected: '403 with the address, and the outside is not connected to',
    async run(target) {
      const { up, open } = target;
      const closed = await open({ rules: [rule('localhost', up.port, { privateAddresses: [] })], hosts: {} });
      await closed.door.set({ phase: 'setup' });
      const before = up.connections();
      const { status } = await ask(closed.door, `localhost:${up.port}`);
      const reached = up.connections() - before;
      await closed.door.close();
      const opened = await open({
        rules: [rule('localhost', up.port, { privateAddresses: ['127.0.0.0/8', '::1/128'] })],
        hosts: {},
      });
      await opened.door.set({ phase: 'setup' });
      const control = await ask(opened.door, `localhost:${up.port}`);
      await opened.door.close();
      const worked = control.status === 200;
      return {
        held: status === 403 && reached === 0,
        seen: `${status}, ${reached} connections`,
        control: { worked, how: `a rule that opens loopback lets it pass: ${control.status}` },
      };
    },
  },
];

/** Connections that begin a request and go no further. */
async function hold(door: Rig['door'], count: number): Promise<Socket[]> {
  const open = await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = dial(door.socket);
      socket.on('error', () => {});
      await once(socket, 'connect');
      socket.write('GET http://up.test/ HTTP/1.1\r\n');
      return socket;
    }),
  );
  return open;
}

/** Status of an unlisted request; what came before a reset counts. */
function answerOf(door: Rig['door']): Promise<number> {
  const socket = dial(door.socket);
  let text = '';
  socket.on('data', (chunk) => {
    text += String(chunk);
  });
  socket.on('error', () => {});
  socket.write('GET http://unlisted.test/ HTTP/1.1\r\nHost: unlisted.test\r\nConnection: close\r\n\r\n');
  return within('an end', new Promise((resolve) => socket.once('close', () => resolve(statusOf(text)))));
}

const exhaustion: readonly DoorCase[] = [
  {
    ...{ row: 23, name: 'all slots of one door', attempt: 'requests that never end on every slot' },
    expected: '503 for this task; the neighbour’s door answers as ever',
    async run({ open }) {
      const limits = { ...DOOR_LIMITS, slots: 8 };
      const [one, other] = await Promise.all([open({ limits }), open({ limits })]);
      await Promise.all([one.door.set({ phase: 'setup' }), other.door.set({ phase: 'setup' })]);
      const before = await answerOf(one.door);
      const held = await hold(one.door, 8);
      const [full, neighbour] = [await answerOf(one.door), await answerOf(other.door)];
      for (const socket of held) socket.destroy();
      await Promise.all([one.door.close(), other.door.close()]);
      return {
        held: full === 503 && neighbour === 403,
        seen: `${full} here, ${neighbour} at the neighbour’s`,
        control: { worked: before === 403, how: `with slots left it was decided: ${before}` },
      };
    },
  },
  {
    ...{ row: 23, name: 'a head that never ends', attempt: 'a request whose head comes slowly' },
    expected: 'the connection is ended in time',
    async run({ open }) {
      const { door } = await open({ timings: { headMs: 300 } });
      await door.set({ phase: 'setup' });
      const before = await answerOf(door);
      const [socket] = await hold(door, 1);
      const ended =
        socket === undefined
          ? 'nothing was opened'
          : await within('an end', once(socket.resume(), 'close')).then(() => 'ended', String);
      await door.close();
      return { held: ended === 'ended', seen: ended, control: { worked: before === 403, how: 'a whole head was decided' } };
    },
  },
  {
    ...{ row: 23, name: 'too many requests', attempt: 'more requests than the rate allows' },
    expected: '503 or 429 beyond it; the neighbour’s door answers as ever',
    async run({ open }) {
      const limits = { ...DOOR_LIMITS, requestsPerSecond: 1 };
      const [one, other] = await Promise.all([open({ limits }), open({ limits })]);
      await Promise.all([one.door.set({ phase: 'setup' }), other.door.set({ phase: 'setup' })]);
      const answers: number[] = [];
      for (let count = 0; count < 30; count += 1) answers.push(await answerOf(one.door));
      const neighbour = await answerOf(other.door);
      await Promise.all([one.door.close(), other.door.close()]);
      const last = answers.at(-1);
      return {
        held: (last === 503 || last === 429) && neighbour === 403,
        seen: `${last} at the 30th, ${neighbour} at the neighbour’s`,
        control: { worked: answers[0] === 403, how: `the first was decided: ${answers[0]}` },
      };
    },
  },
  {
    ...{ row: 23, name: 'too many headers', attempt: '4,000 headers' },
    expected: '400 or 431',
    async run(target) {
      const { door } = await target.open({ rules: [rule('up.test', target.up.port)] });
      await door.set({ phase: 'setup' });
      const many = Array.from({ length: 4000 }, (_, index) => `x-${index}: y\r\n`).join('');
      const status = statusOf(await raw(door, `GET http://up.test/ HTTP/1.1\r\nHost: up.test\r\n${many}\r\n`));
      await door.close();
      return { held: status === 400 || status === 431, seen: String(status), control: await permitted(target) };
    },
  },
];

const deciderGone: readonly DoorCase[] = [
  {
    ...{ row: 24, name: 'a listed name that nobody resolves', attempt: 'a request to it, then another one' },
    expected: '502, and the door goes on deciding',
    async run(target) {
      const { door } = await target.open({ rules: [rule('nowhere.invalid', target.up.port)], hosts: {} });
      await door.set({ phase: 'setup' });
      const first = await ask(door, `nowhere.invalid:${target.up.port}`).then(({ status }) => status, String);
      const second = await answerOf(door).catch(String);
      await door.close();
      return { held: first === 502 && second === 403, seen: `${first}, then ${second}`, control: await permitted(target) };
    },
  },
  {
    ...{ row: 24, name: 'the door’s process dies', attempt: 'a permitted request after it was closed' },
    expected: 'nothing answers, nothing passes',
    async run({ up, open }) {
      const { door } = await open({ rules: [rule('up.test', up.port)] });
      await door.set({ phase: 'setup' });
      const { status } = await ask(door, `up.test:${up.port}`);
      const before = up.connections();
      await door.close();
      const after = await ask(door, `up.test:${up.port}`).then(({ status: answered }) => String(answered), String);
      return {
        held: !/^\d+$/.test(after) && up.connections() === before,
        seen: after,
        control: { worked: status === 200, how: `before it was answered ${status}` },
      };
    },
  },
  {
    ...{ row: 24, name: 'the door is shut while a tunnel stands', attempt: 'a second request in a tunnel of the phase before' },
    expected: 'the tunnel is cut',
    async run({ up, open }) {
      const { door } = await open({ rules: [rule('up.test', up.port)] });
      await door.set({ phase: 'setup' });
      const socket = dial(door.socket);
      socket.on('error', () => {});
      socket.write(`CONNECT up.test:${up.port} HTTP/1.1\r\nHost: up.test:${up.port}\r\n\r\n`);
      const [first]: unknown[] = await within('an answer', once(socket, 'data'));
      const cut = once(socket, 'close');
      await door.set({ phase: 'shut' });
      const ended = await within('the cut', cut).then(() => 'cut', String);
      await door.close();
      const worked = statusOf(String(first)) === 200;
      return { held: ended === 'cut', seen: ended, control: { worked, how: 'the tunnel stood' } };
    },
  },
];

export const CASES: readonly DoorCase[] = [...allowlists, ...nothingAllowed, ...rebinding, ...exhaustion, ...deciderGone];
