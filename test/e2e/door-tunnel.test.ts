import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import { parse } from 'yaml';
import type { DoorOptions } from '../../src/door/door.ts';
import { ServiceRule, TunnelRule } from '../../src/policy/egress.ts';
import { passesUnopened } from '../../src/policy/match.ts';
import { OperatorConfig } from '../../src/policy/operator-config.ts';
import { extension, inTwoRecords, nodeHello, serverName, withExtensions } from '../door/hellos.ts';
import {
  all,
  ask,
  cagedProcess,
  doorProcess,
  outside,
  raw,
  rig,
  rule,
  sink,
  statusOf,
  type Teardown,
  temporary,
  tunnel,
  within,
} from './door-rig.ts';

const open = { phases: ['setup'], privateAddresses: ['127.0.0.0/8'] };
const tunnelRule = (host: string, port: number, change: Partial<TunnelRule> = {}): TunnelRule =>
  TunnelRule.parse({ how: 'tunnel', id: `tunnel:${host}`, host, ports: [port], ...open, ...change });
const serviceRule = (host: string, port: number, change: Partial<ServiceRule> = {}): ServiceRule =>
  ServiceRule.parse({ how: 'service', id: `service:${host}`, host, port, listen: 15432, ...open, ...change });
const HOSTS = { 'up.test': '127.0.0.1', 'other.test': '127.0.0.1' };

/** A plain server of loopback that does with each connection what it is told. */
async function listen(t: Teardown, serve: (socket: Socket) => void): Promise<{ port: number; connections: () => number }> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    connections++;
    sockets.add(socket);
    socket.on('error', () => {});
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return { port: address.port, connections: () => connections };
}

/** Sends first bytes through a tunnel; what came back until its end. */
async function first(door: Parameters<typeof tunnel>[0], authority: string, bytes: Buffer): Promise<string> {
  const { socket, status } = await tunnel(door, authority);
  assert.equal(status, 200);
  socket.end(bytes);
  return all(socket);
}

/** TLS to the real upstream through the tunnel: its own certificate is seen, not the door's. */
function through(socket: Socket, servername: string): tls.TLSSocket {
  const secure = tls.connect({ socket, servername, ca: outside.certificate });
  secure.on('error', () => {});
  return secure;
}

test('a tunnel passes TLS unopened once its name was checked, and the row says what was not', async (t) => {
  const up = await sink(t);
  const { door, row } = await rig(t, { rules: [tunnelRule('up.test', up.port)], hosts: HOSTS });
  await door.set({ phase: 'setup' });
  const { socket, status } = await tunnel(door, `up.test:${up.port}`);
  assert.equal(status, 200);
  const secure = through(socket, 'up.test');
  await within('the upstream’s own certificate', once(secure, 'secureConnect'));
  secure.write(`GET /x HTTP/1.1\r\nHost: inner.test\r\nConnection: close\r\n\r\n`);
  assert.match(await all(secure), /200 OK[\s\S]*outside/);
  const { ms, bytesUp, bytesDown, ...rest } = await row(1);
  assert.ok(ms >= 0 && bytesUp > 200 && bytesDown > 200, `${bytesUp} up, ${bytesDown} down`);
  assert.deepEqual(rest, {
    ...{ n: 0, phase: 'setup', route: 'tunnel', method: 'CONNECT', host: 'up.test', port: up.port, path: '' },
    ...{ verdict: 'allowed', rule: 'tunnel:up.test', reason: 'allowed by the name up.test, not verified inside' },
    ...{ address: '127.0.0.1', resolver: 'table', status: 200 },
  });
  assert.equal(up.requests[0]?.headers.host, 'inner.test', 'what is inside is not the door’s to see');
});

test('a tunnel whose hello does not name its host, or hides it, never reaches anything', async (t) => {
  const up = await listen(t, () => {});
  const { door, row, rows } = await rig(t, {
    rules: [tunnelRule('up.test', up.port), tunnelRule('127.0.0.1', up.port)],
    hosts: HOSTS,
  });
  await door.set({ phase: 'setup' });
  const hello = await nodeHello({ servername: 'up.test' });
  const nameless = await nodeHello({});
  const twice = (block: Buffer) => Buffer.concat([serverName('up.test'), block]);
  const cases: [number, RegExp, Buffer, string?][] = [
    [421, /TLS name is other\.test/, await nodeHello({ servername: 'other.test' })],
    [421, /TLS name is up\.test\.evil\.test/, await nodeHello({ servername: 'up.test.evil.test' })],
    [421, /names no host/, nameless],
    [421, /more than one host/, withExtensions(nameless, (block) => Buffer.concat([serverName('up.test', 'other.test'), block]))],
    [421, /an extension twice/, withExtensions(hello, twice)],
    [421, /encrypted/, withExtensions(hello, (block) => Buffer.concat([block, extension(0xfe0d, Buffer.alloc(32))]))],
    [421, /encrypted/, withExtensions(hello, (block) => Buffer.concat([extension(0xffce, Buffer.alloc(32)), block]))],
    [421, /several records/, inTwoRecords(hello, 60)],
    [421, /several records/, inTwoRecords(hello, 1)],
    [421, /no host name/, withExtensions(nameless, (block) => Buffer.concat([serverName('up.test\0.other.test'), block]))],
    [421, /no host name/, withExtensions(nameless, (block) => Buffer.concat([serverName('\xf5p.test'), block]))],
    [421, /no host name/, withExtensions(nameless, (block) => Buffer.concat([serverName('up.test.'), block]))],
    [421, /come to an end/, hello.subarray(0, 100)],
    [421, /begin with a hello/, Buffer.from([0x16, 3, 1, 0, 4, 2, 0, 0, 0])],
    [403, /not TLS/, Buffer.from('GET / HTTP/1.1\r\nHost: up.test\r\n\r\n')],
    [403, /not TLS/, Buffer.from('SSH-2.0-x\r\n')],
    [403, /not TLS/, Buffer.from([0x80, 0x2e, 1, 0, 2])],
    [421, /TLS name is up\.test and the tunnel goes to 127/, hello, `127.0.0.1:${up.port}`],
  ];
  for (const [index, [status, reason, bytes, authority]] of cases.entries()) {
    assert.equal(statusOf(await first(door, authority ?? `up.test:${up.port}`, bytes)), status, String(reason));
    const said = await row(index + 1);
    assert.match(said.reason, reason);
    assert.deepEqual(
      [said.route, said.verdict, said.status, said.address, said.resolver],
      ['tunnel', 'refused', status, null, null],
    );
  }
  assert.equal(rows.length, cases.length);
  assert.equal(up.connections(), 0, 'not even a connection');
  await first(door, `127.0.0.1:${up.port}`, nameless).catch(() => '');
  assert.equal(up.connections(), 1, 'positive control: an address is asked for without a name');
});

test('a hello that comes in pieces is the same hello', async (t) => {
  const up = await sink(t);
  const { door } = await rig(t, { rules: [tunnelRule('up.test', up.port)], hosts: HOSTS });
  await door.set({ phase: 'setup' });
  const { socket } = await tunnel(door, `up.test:${up.port}`);
  // One byte at a time, each a write of its own.
  const write = socket.write.bind(socket);
  const drip = (bytes: Buffer) => [...bytes.subarray(0, 80)].map((_, at) => write(bytes.subarray(at, at + 1)));
  const [client, wire] = (await import('node:stream')).duplexPair();
  const secure = tls.connect({ socket: client, servername: 'up.test', ca: outside.certificate });
  secure.on('error', () => {});
  wire.once('data', (bytes: Buffer) => {
    drip(bytes);
    write(bytes.subarray(80));
    wire.on('data', (more: Buffer) => void socket.write(more));
    socket.on('data', (more: Buffer) => void wire.write(more));
  });
  await within('the handshake', once(secure, 'secureConnect'));
  secure.destroy();
  socket.destroy();
});

test('where a rule inspects, a tunnel rule does not make it pass unopened', async (t) => {
  const up = await sink(t);
  const { door, row } = await rig(t, {
    rules: [tunnelRule('up.test', up.port), rule('up.test', up.port, { paths: ['/open'] })],
    hosts: HOSTS,
  });
  await door.set({ phase: 'setup' });
  assert.equal((await ask(door, `up.test:${up.port}`, '/open')).status, 200);
  assert.equal((await ask(door, `up.test:${up.port}`, '/shut')).status, 403);
  assert.deepEqual([(await row(1)).route, (await row(2)).route], ['egress', 'egress']);
});

test('tunnels and services go to checked addresses, in their phase and port only', async (t) => {
  const up = await listen(t, (socket) => socket.end('hello'));
  const closed = { privateAddresses: [] };
  const { door, row } = await rig(t, {
    rules: [
      tunnelRule('up.test', up.port, closed),
      serviceRule('other.test', up.port, closed),
      serviceRule('up.test', up.port + 1, { phases: ['agent'] }),
    ],
    hosts: HOSTS,
  });
  await door.set({ phase: 'setup' });
  const answer = await first(door, `up.test:${up.port}`, await nodeHello({ servername: 'up.test' }));
  assert.equal(statusOf(answer), 403);
  assert.match(answer, /privateAddresses: \["127\.0\.0\.1\/32"\]/);
  assert.equal((await row(1)).address, '127.0.0.1');
  assert.equal((await tunnel(door, `other.test:${up.port}`)).status, 403);
  assert.match((await row(2)).reason, /loopback and not opened by rule service:other\.test/);
  assert.equal((await tunnel(door, `up.test:${up.port + 1}`)).status, 403, 'phase');
  assert.equal((await tunnel(door, `up.test:${up.port + 2}`)).status, 403, 'port');
  assert.equal(up.connections(), 0);
});

test('a service passes anything both ways, each direction to its own end', async (t) => {
  const up = await listen(t, (socket) => {
    socket.write('greeting\n');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('end', () => socket.end(`had ${Buffer.concat(chunks).length}`));
  });
  const { door, row } = await rig(t, { rules: [serviceRule('up.test', up.port)], hosts: HOSTS });
  await door.set({ phase: 'setup' });
  const socket = connect({ path: door.socket, allowHalfOpen: true });
  // The first bytes of the protocol come in one piece with the CONNECT.
  socket.write(`CONNECT up.test:${up.port} HTTP/1.1\r\nHost: up.test\r\n\r\nearly`);
  socket.end(Buffer.alloc(8 * 1024 * 1024));
  assert.match(await all(socket), /200 Connection Established\r\n\r\ngreeting\nhad 8388613$/);
  const said = await row(1);
  assert.deepEqual(
    [said.route, said.rule, said.verdict, said.address, said.bytesUp, said.bytesDown],
    ['service', 'service:up.test', 'allowed', '127.0.0.1', 8388613, 20],
  );
  const gone = await rig(t, { rules: [serviceRule('up.test', 1)], hosts: HOSTS });
  await gone.door.set({ phase: 'setup' });
  assert.equal((await tunnel(gone.door, 'up.test:1')).status, 502, 'a service that is not there is no established tunnel');
  assert.deepEqual([(await gone.row(1)).verdict, (await gone.row(1)).status], ['failed', 502]);
});

test('a side that ended before it resets has broken nothing off; one that resets before its end has', async (t) => {
  for (const orderly of [true, false]) {
    let reset: Promise<unknown> = Promise.reject(new Error('nobody connected'));
    reset.catch(() => {});
    const up = await listen(t, (socket) => {
      if (orderly) socket.end('all of it');
      else socket.write('some of it');
      reset = once(socket, 'close');
      socket.once('data', () => socket.resetAndDestroy());
    });
    const { door, row } = await rig(t, { rules: [serviceRule('up.test', up.port)], hosts: HOSTS });
    await door.set({ phase: 'setup' });
    const socket = connect({ path: door.socket, allowHalfOpen: true });
    t.after(() => void socket.destroy());
    socket.on('error', () => {});
    socket.write(`CONNECT up.test:${up.port} HTTP/1.1\r\nHost: up.test:${up.port}\r\n\r\n`);
    const said = new Promise<void>((resolve) => {
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (!orderly && text.endsWith('some of it')) resolve();
      });
      socket.once('end', resolve);
    });
    await within('what the upstream says', said);
    socket.write('what resets');
    await within('the reset', reset);
    socket.write('what finds it');
    assert.equal((await row(1)).verdict, orderly ? 'allowed' : 'failed');
  }
});

test('a standing connection is cut by a phase, by idle and by total time, and its row says by which', async (t) => {
  const up = await listen(t, (socket) => void socket.write('greeting'));
  const rules = [serviceRule('up.test', up.port), serviceRule('up.test', up.port + 1, { expires: '2020-01-01T00:00:00Z' })];
  const cases: [Partial<DoorOptions>, RegExp][] = [
    [{}, /phase became verify/],
    [{ timings: { tunnelIdleMs: 300 } }, /nothing passed/],
    [{ timings: { tunnelMs: 600 } }, /too long/],
  ];
  await Promise.all(
    cases.map(async ([change, reason], index) => {
      const { door, row } = await rig(t, { rules, hosts: HOSTS, ...change });
      await door.set({ phase: 'setup' });
      assert.equal((await tunnel(door, `up.test:${up.port + 1}`)).status, 403, 'a rule that expired');
      const { socket } = await tunnel(door, `up.test:${up.port}`);
      const ended = all(socket);
      if (index === 0) await door.set({ phase: 'verify' });
      await ended;
      const said = await row(2);
      assert.match(said.reason, reason);
      assert.equal(said.route, 'service');
      assert.notEqual(said.verdict, 'allowed');
    }),
  );
});

test('bytes of one task end when its share is used up, and its neighbour goes on', async (t) => {
  const up = await listen(t, (socket) => void socket.end(Buffer.alloc(4 * 1024 * 1024)));
  const options = { rules: [serviceRule('up.test', up.port)], hosts: HOSTS };
  const small = { slots: 256, requestsPerSecond: 200, bytesUp: 1000, bytesDown: 1024 * 1024 };
  const { door, row } = await rig(t, { ...options, limits: small });
  const sibling = await rig(t, options);
  await door.set({ phase: 'setup' });
  await sibling.door.set({ phase: 'setup' });
  const { socket } = await tunnel(door, `up.test:${up.port}`);
  assert.ok((await all(socket)).length < 3 * 1024 * 1024, 'cut');
  const cut = await row(1);
  assert.match(cut.reason, /received as many bytes/);
  assert.equal(cut.verdict, 'refused');
  assert.equal((await tunnel(door, `up.test:${up.port}`)).status, 503);
  const other = await tunnel(sibling.door, `up.test:${up.port}`);
  await all(other.socket);
  assert.ok((await sibling.row(1)).bytesDown === 4 * 1024 * 1024);
});

test('no hello in time, and a door that dies: nothing passes', async (t) => {
  const up = await listen(t, () => {});
  const stop = new AbortController();
  const { door, row } = await rig(t, {
    rules: [tunnelRule('up.test', up.port)],
    hosts: HOSTS,
    timings: { helloMs: 150 },
    signal: stop.signal,
  });
  await door.set({ phase: 'setup' });
  const { socket } = await tunnel(door, `up.test:${up.port}`);
  socket.write((await nodeHello({ servername: 'up.test' })).subarray(0, 50));
  assert.equal(statusOf(await all(socket)), 504);
  assert.match((await row(1)).reason, /no TLS hello/);
  const last = await tunnel(door, `up.test:${up.port}`);
  stop.abort();
  await within('the cut', all(last.socket));
  await door.died;
  assert.equal(up.connections(), 0);
});

test('a door that stands still passes nothing on, and one that is killed cuts what stood', async (t) => {
  const heard: string[] = [];
  const up = await listen(t, (socket) => {
    socket.write('greeting');
    socket.on('data', (chunk: Buffer) => void heard.push(String(chunk)));
  });
  const directory = temporary(t);
  const options = { rules: [serviceRule('up.test', up.port)], hosts: HOSTS };
  const { door } = await rig(t, { ...options, directory });
  const neighbour = await rig(t, options);
  await door.set({ phase: 'setup' });
  await neighbour.door.set({ phase: 'setup' });
  const { socket } = await tunnel(door, `up.test:${up.port}`);
  const other = await tunnel(neighbour.door, `up.test:${up.port}`);
  const until = async (words: string) => {
    while (!heard.includes(words)) await new Promise((resolve) => setImmediate(resolve));
  };
  const caged = cagedProcess(directory);
  process.kill(caged, 'SIGSTOP');
  t.after(() => {
    try {
      process.kill(caged, 'SIGCONT');
    } catch {
      // It was killed.
    }
  });
  socket.write('held');
  other.socket.write('neighbour');
  await within('the neighbour’s bytes', until('neighbour'));
  assert.deepEqual(heard, ['neighbour']);
  process.kill(caged, 'SIGCONT');
  await within('the bytes that waited', until('held'));
  const cut = all(socket);
  process.kill(doorProcess(directory), 'SIGKILL');
  await within('the cut', cut);
  await door.died;
  other.socket.destroy();
});

test('what a refusal offers can be pasted, and lets pass what was refused', async (t) => {
  const { door } = await rig(t, { hosts: HOSTS });
  await door.set({ phase: 'setup' });
  const answer = await raw(door, 'CONNECT up.test:5432 HTTP/1.1\r\nHost: up.test\r\n\r\n');
  const pasted = OperatorConfig.pick({ egress: true }).parse(parse(answer.slice(answer.indexOf('\negress:'))));
  const rules = pasted.egress.grants.filter((each) => each.how === 'service');
  assert.notEqual(passesUnopened(rules, { phase: 'setup', host: 'up.test', port: 5432 }, Date.now()), null);
});
