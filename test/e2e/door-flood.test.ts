import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { DOOR_LIMITS, type Door, type DoorOptions } from '../../src/door/door.ts';
import {
  all,
  ask,
  cagedProcess,
  raw,
  rig,
  rule,
  type Sink,
  sink,
  statusOf,
  type Teardown,
  temporary,
  tunnel,
  within,
} from './door-rig.ts';

const MiB = 1024 * 1024;
const HOSTS = { 'up.test': '127.0.0.1' };

/** A door in front of one upstream, and its undisturbed neighbour. */
async function neighbours(t: Teardown, up: Sink, change: Partial<DoorOptions> = {}) {
  const options = { rules: [rule('up.test', up.port, { methods: ['GET', 'POST'] })], hosts: HOSTS };
  const [one, other] = await Promise.all([rig(t, { ...options, ...change }), rig(t, options)]);
  await Promise.all([one.door.set({ phase: 'setup' }), other.door.set({ phase: 'setup' })]);
  return { ...one, neighbour: other.door };
}

test('requests that come too fast are told so, in few rows, and a neighbour’s are not', async (t) => {
  const up = await sink(t);
  const limits = { ...DOOR_LIMITS, requestsPerSecond: 1 };
  const { door, rows, neighbour } = await neighbours(t, up, { limits });
  const head = 'GET http://other.test/ HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n';
  const statuses = [];
  for (let asked = 0; asked < 60; asked++) statuses.push(statusOf(await raw(door, head)));
  const refused = statuses.filter((status) => status === 503).length;
  assert.ok(
    statuses.slice(0, 10).every((status) => status === 403),
    'ten seconds’ worth passes at once',
  );
  assert.ok(refused > 30, `${refused}`);
  assert.equal((await ask(neighbour, `up.test:${up.port}`)).status, 200);
  await door.close();
  const folded = rows.filter((row) => row.status === 503);
  assert.ok(folded.length < refused / 2, `${folded.length} rows for ${refused}`);
  const counted = folded.map(({ reason }) => Number(/\((\d+) refused/.exec(reason)?.[1] ?? 1)).reduce((a, b) => a + b);
  assert.equal(counted, refused, 'every refusal is counted');
  assert.deepEqual(
    rows.map(({ n }) => n),
    rows.map((_, n) => n),
  );
});

test('connections beyond the slots are told 503', async (t) => {
  const up = await sink(t);
  const { door, neighbour } = await neighbours(t, up, { limits: { ...DOOR_LIMITS, slots: 2 } });
  const held = [await tunnel(door, `up.test:${up.port}`), await tunnel(door, `up.test:${up.port}`)];
  assert.equal(statusOf(await raw(door, '')), 503);
  assert.equal((await ask(neighbour, `up.test:${up.port}`)).status, 200);
  for (const { socket } of held) socket.destroy();
});

test('heads and bodies that never end are given up', async (t) => {
  const up = await sink(t);
  const { door, rows } = await neighbours(t, up, { timings: { headMs: 200, requestMs: 600, helloMs: 300 } });
  const slowHead = connect(door.socket);
  slowHead.write('GET http://up.test/ HTTP/1.1\r\nHost: up.test\r\nX-Slow: ');
  const drip = setInterval(() => slowHead.write('x'), 20);
  t.after(() => clearInterval(drip));
  slowHead.on('error', () => {});
  const silent = connect(door.socket);
  const idle = await tunnel(door, `up.test:${up.port}`);
  const slowBody = connect(door.socket);
  slowBody.write('POST http://other.test/ HTTP/1.1\r\nHost: other.test\r\nContent-Length: 100\r\n\r\nx');
  await Promise.all([all(slowHead), all(silent), all(idle.socket), all(slowBody)]);
  await door.close();
  assert.ok(rows.some((row) => /REQUEST_TIMEOUT/.test(row.reason)));
  assert.ok(rows.some((row) => /no request came through the tunnel/.test(row.reason)));
  assert.equal(up.requests.length, 0);
});

test('a flood of big heads, many headers, slow bodies and pipelined tunnels neither ends a door nor fills its memory', async (t) => {
  const up = await sink(t, (request, response) => void request.resume().on('end', () => response.end('outside')));
  const directory = temporary(t);
  const { door, row, rows, neighbour } = await neighbours(t, up, { directory });
  const before = dataBytes(directory);
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  const send = (bytes: string | Buffer) => {
    const socket = connect(door.socket);
    sockets.push(socket);
    socket.on('error', () => {});
    socket.resume();
    socket.write(bytes, 'latin1');
    return socket;
  };
  const big = `GET http://other.test/ HTTP/1.1\r\nHost: other.test\r\nX: ${'x'.repeat(31 * 1024)}`;
  const wide = `GET http://other.test/ HTTP/1.1\r\nHost: other.test\r\n${'a:b\r\n'.repeat(5000)}\r\n`;
  const body = `POST http://other.test/ HTTP/1.1\r\nHost: other.test\r\nContent-Length: 1000000000\r\n\r\n${'x'.repeat(60_000)}`;
  const connects = `CONNECT up.test:${up.port} HTTP/1.1\r\nHost: up.test\r\n\r\n`.repeat(10_000);
  const gets = 'GET http://other.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n'.repeat(10_000);
  for (let wave = 0; wave < 2; wave++) {
    // Heads without an end hold what they sent; the others are answered or refused.
    for (let each = 0; each < 60; each++) send(big);
    const ended = [wide, body, connects, gets, Buffer.alloc(MiB, 'GET '), Buffer.alloc(MiB, 0x16)]
      .flatMap((bytes) => [bytes, bytes])
      .map((bytes) => send(bytes));
    await within('the answers', Promise.all(ended.map(closed)), 20_000);
  }
  assert.equal((await ask(neighbour, `up.test:${up.port}`)).status, 200);
  const grown = dataBytes(directory) - before;
  assert.ok(grown < 128 * MiB, `${Math.round(grown / MiB)} MiB more`);
  for (const socket of sockets) socket.destroy();
  assert.equal(await answered(door, up.port), 200, 'it goes on');
  await row(1);
  assert.ok(rows.length < 3000, `${rows.length} rows`);
});

const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => (socket.closed ? resolve() : socket.once('close', () => resolve())));

/** Asks until slots have come back. */
async function answered(door: Door, port: number): Promise<number> {
  let status = 503;
  for (let tries = 0; tries < 100 && status !== 200; tries++)
    status = await ask(door, `up.test:${port}`).then(
      (answer) => answer.status,
      () => 503,
    );
  return status;
}

/** Private memory of the door's own process, which its cap is about. Bytes. */
function dataBytes(directory: string): number {
  const status = readFileSync(`/proc/${cagedProcess(directory)}/status`, 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}
