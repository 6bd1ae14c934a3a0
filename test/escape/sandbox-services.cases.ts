/** Rows 1, 7 and 8 from inside: the port on which a granted service is found speaks with that service and nothing else. */
import type { EscapeCase, Observation } from './cases.ts';
import { LISTEN_PORT, type Neighbours, say } from './sandbox-rig.ts';

type Case = EscapeCase<Neighbours>;

/** Sends bytes to a port of loopback inside, and prints what came back within a moment, or why nothing could. */
const speak = (port: number, bytes: string): string => `python3 -c '
import socket
try:
  s = socket.create_connection(("127.0.0.1", ${port}), 5)
  s.settimeout(1)
  s.sendall(${JSON.stringify(bytes)}.encode())
  b = b""
  while b.count(b"\\n") < 1:
    c = s.recv(4096)
    if c == b"": break
    b += c
  print(b.decode() or "closed without a word")
except Exception as e: print(type(e).__name__)
'`;

/** The service answers at its own port. */
async function answered({ one, service }: Neighbours): Promise<Observation['control']> {
  const before = service.connections();
  const said = await say(one, speak(LISTEN_PORT, 'hello\n'));
  const worked = said.includes('the service') && service.connections() === before + 1;
  return { worked, how: `the service at its own port: ${said}` };
}

const INSTEAD: readonly (readonly [name: string, bytes: (port: number) => string])[] = [
  ['a CONNECT to another host', (port) => `CONNECT other.test:${port} HTTP/1.1\r\nHost: other.test\r\n\r\n`],
  ['a CONNECT to another port of its host', (port) => `CONNECT db.test:${port} HTTP/1.1\r\nHost: db.test\r\n\r\n`],
  ['a request in absolute form', (port) => `GET http://other.test:${port}/ HTTP/1.1\r\nHost: other.test\r\n\r\n`],
];

const instead = INSTEAD.map(
  ([name, bytes]): Case => ({
    row: 1,
    name: `${name}, said to a service’s port inside`,
    attempt: `what the relay takes on its own port is said to the service’s: ${name}`,
    expected: 'it reaches the service as plain bytes; nobody else is connected to',
    async run(target) {
      const { one, service, beside } = target;
      const [known, elsewhere] = [service.heard.length, beside.connections()];
      const text = bytes(beside.port);
      const said = await say(one, speak(LISTEN_PORT, text));
      const heard = service.heard.slice(known).join('');
      const reached = beside.connections() - elsewhere;
      return {
        held: reached === 0 && heard === text && said.includes('the service'),
        seen: `${reached} connections elsewhere; the service heard ${JSON.stringify(heard)}`,
        control: await answered(target),
      };
    },
  }),
);

const BESIDE: readonly (readonly [row: number, name: string, script: (target: Neighbours) => string, refused: RegExp])[] = [
  [
    8,
    'another port of the service’s host, by the relay',
    ({ beside }) => speak(3128, `CONNECT db.test:${beside.port} HTTP/1.1\r\nHost: db.test\r\n\r\n`),
    /403/,
  ],
  [
    1,
    'another host at the service’s port, by the relay',
    ({ service }) => speak(3128, `CONNECT other.test:${service.port} HTTP/1.1\r\nHost: other.test\r\n\r\n`),
    /403/,
  ],
  [1, 'the service past the relay', ({ service }) => speak(service.port, 'hello\n'), /ConnectionRefused/],
  [1, 'the port beside the service’s', () => speak(LISTEN_PORT + 1, 'hello\n'), /ConnectionRefused/],
];

const around = BESIDE.map(
  ([row, name, script, refused]): Case => ({
    ...{ row, name: `${name}, from inside`, attempt: `connect to ${name}` },
    expected: 'refused; nothing outside is connected to',
    async run(target) {
      const before = target.beside.connections() + target.service.connections();
      const said = await say(target.one, script(target));
      const reached = target.beside.connections() + target.service.connections() - before;
      return { held: refused.test(said) && reached === 0, seen: `${said}; ${reached}`, control: await answered(target) };
    },
  }),
);

const later: Case = {
  row: 7,
  name: 'a service’s port inside, in a phase in which its rule is not open',
  attempt: 'connect to it while declared commands are verified',
  expected: 'closed without a word; the service is not connected to',
  async run(target) {
    const { one, door, service } = target;
    const control = await answered(target);
    await door.set({ phase: 'verify' });
    const before = service.connections();
    const said = await say(one, speak(LISTEN_PORT, 'hello\n'));
    const reached = service.connections() - before;
    await door.set({ phase: 'agent', model: null });
    return { held: !said.includes('the service') && reached === 0, seen: `${said}; ${reached} connections`, control };
  },
};

export const CASES: readonly Case[] = [...instead, ...around, later];
