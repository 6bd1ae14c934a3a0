import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { connect as secureConnect } from 'node:tls';
import { createTaskAuthority } from '../../src/door/certificates.ts';
import { DOOR_LIMITS } from '../../src/door/door.ts';
import {
  all,
  ask,
  cagedProcess,
  doorProcess,
  inside,
  outside,
  raw,
  rig,
  rule,
  sink,
  statusOf,
  temporary,
  tunnel,
  within,
} from './door-rig.ts';

test('an allowed request passes, with one row that says everything of it', async (t) => {
  const up = await sink(t);
  const { door, row } = await rig(t, {
    rules: [rule('up.test', up.port, { methods: ['POST'] })],
    hosts: { 'up.test': '127.0.0.1' },
  });
  await door.set({ phase: 'setup' });
  const answer = await ask(door, `up.test:${up.port}`, '/a?b', { method: 'POST', body: 'hello' });
  assert.deepEqual([answer.status, answer.body], [200, 'outside']);
  assert.equal(up.requests[0]?.body, 'hello');
  const { ms, ...rest } = await row(1);
  assert.ok(ms >= 0);
  assert.deepEqual(rest, {
    ...{ n: 0, phase: 'setup', route: 'egress', method: 'POST', host: 'up.test', port: up.port, path: '/a?b' },
    ...{
      verdict: 'allowed',
      rule: 'test:up.test',
      reason: 'allowed',
      address: '127.0.0.1',
      resolver: 'table',
      status: 200,
      bytesUp: 5,
      bytesDown: 7,
    },
  });
  assert.equal(statSync(door.socket).mode & 0o777, 0o666);
});

test('what no rule allows is refused with the rule that would allow it, and nothing leaves', async (t) => {
  const up = await sink(t);
  const { door, rows, row } = await rig(t, {
    rules: [rule('up.test', up.port, { paths: ['/open'] })],
    hosts: { 'up.test': '127.0.0.1', 'other.test': '127.0.0.1', 'evilup.test': '127.0.0.1', 'up.test.other.test': '127.0.0.1' },
  });
  await door.set({ phase: 'setup' });
  assert.equal((await ask(door, `up.test:${up.port}`, '/open/x')).status, 200, 'positive control');
  for (const host of ['other.test', 'evilup.test', 'up.test.other.test'])
    assert.equal((await ask(door, `${host}:${up.port}`)).status, 403, host);
  assert.equal((await ask(door, `up.test:${up.port + 1}`)).status, 403, 'port');
  const method = await ask(door, `up.test:${up.port}`, '/open', { method: 'PUT', body: 'x' });
  assert.equal(method.status, 403);
  const path = await ask(door, `up.test:${up.port}`, '/shut');
  assert.equal(path.status, 403);
  assert.match(path.body, /grants:\n\s+- id: up\.test\n\s+host: up\.test\n[\s\S]*\/shut/);
  await row(7);
  assert.deepEqual(
    rows.map((each) => each.n),
    [0, 1, 2, 3, 4, 5, 6],
  );
  assert.deepEqual(
    rows.map((each) => each.verdict),
    ['allowed', ...Array(6).fill('refused')],
  );
  assert.equal(up.requests.length, 1);
});

test('an empty list denies all', async (t) => {
  const up = await sink(t);
  const { door, row } = await rig(t, { hosts: { 'up.test': '127.0.0.1' } });
  await door.set({ phase: 'setup' });
  assert.equal((await ask(door, `up.test:${up.port}`)).status, 403);
  assert.equal((await row(1)).reason, 'no rule allows up.test');
  assert.equal(up.connections(), 0);
});

test('every spelling of an address has the verdict of its canonical form', async (t) => {
  const up = await sink(t, undefined, { tls: false, host: '127.0.0.1', port: 80 }).catch(() => null);
  if (up === null) return t.skip('port 80 of loopback is taken');
  const spellings = [
    '127.0.0.1',
    '127.1',
    '0x7f.1',
    '0x7f000001',
    '2130706433',
    '017700000001',
    '[::ffff:127.0.0.1]',
    '127.0.0.1.',
  ];
  const request = (host: string) => `GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  const open = await rig(t, { rules: [rule('127.0.0.1', 80)] });
  await open.door.set({ phase: 'setup' });
  for (const host of spellings) assert.equal(statusOf(await raw(open.door, request(host))), 200, host);
  await open.row(spellings.length);
  assert.deepEqual(new Set(open.rows.map((row) => row.host)), new Set(['127.0.0.1']));
  const closed = await rig(t, { rules: [rule('127.0.0.1', 80, { privateAddresses: [] })] });
  await closed.door.set({ phase: 'setup' });
  for (const host of spellings) assert.equal(statusOf(await raw(closed.door, request(host))), 403, host);
  assert.match((await closed.row(spellings.length)).reason, /loopback/);
  assert.equal(up.requests.length, spellings.length);
});

test('one host has one spelling: case, trailing dot', async (t) => {
  const up = await sink(t);
  const { door, row } = await rig(t, { rules: [rule('up.test', up.port)], hosts: { 'up.test': '127.0.0.1' } });
  await door.set({ phase: 'setup' });
  for (const [index, host] of ['UP.test', 'up.test.', 'up.TEST.'].entries()) {
    const answer = await inside(
      door,
      `${host}:${up.port}`,
      `GET / HTTP/1.1\r\nHost: ${host}:${up.port}\r\nConnection: close\r\n\r\n`,
      { servername: 'up.test' },
    );
    assert.equal(statusOf(answer), 200, host);
    assert.equal((await row(index + 1)).host, 'up.test');
    assert.equal(up.requests.at(-1)?.headers.host, `up.test:${up.port}`);
  }
});

test('bytes that no host holds are answered 400 before any policy', async (t) => {
  const { door, row, rows } = await rig(t, { rules: [rule('up.test', 443)] });
  await door.set({ phase: 'setup' });
  const hosts = ['up.test\0', 'up\x01.test', 'up.t\u00e9st', 'up.test\\', 'u@up.test', 'up.test%00', 'up.test:99999'];
  for (const host of hosts)
    assert.equal(statusOf(await raw(door, `CONNECT ${host}:443 HTTP/1.1\r\nHost: up.test\r\n\r\n`)), 400, JSON.stringify(host));
  await row(hosts.length);
  assert.ok(rows.every((each) => each.verdict === 'refused' && each.status === 400));
});

test('the name in TLS has to be the tunnel’s; a tunnel carries nothing but TLS', async (t) => {
  const up = await sink(t);
  const authority = `up.test:${up.port}`;
  const { door, row } = await rig(t, { rules: [rule('up.test', up.port)], hosts: { 'up.test': '127.0.0.1' } });
  await door.set({ phase: 'setup' });
  const get = `GET / HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n\r\n`;
  const loose = { checkServerIdentity: () => undefined };
  assert.equal(statusOf(await inside(door, authority, get)), 200, 'positive control');
  assert.equal(statusOf(await inside(door, authority, get, { ...loose, servername: 'other.test' })), 421);
  assert.match((await row(2)).reason, /TLS name is other\.test/);
  assert.equal(statusOf(await inside(door, authority, get, { ...loose, servername: '' })), 421);
  const { socket, status } = await tunnel(door, authority);
  assert.equal(status, 200);
  socket.write('GET / HTTP/1.1\r\nHost: up.test\r\n\r\n');
  assert.equal(statusOf(await all(socket)), 403);
  assert.match((await row(4)).reason, /not TLS/);
  const silent = await tunnel(door, authority);
  silent.socket.end();
  assert.match((await row(5)).reason, /without a request/);
  assert.equal(up.requests.length, 1);
});

test('requests that two parsers could read differently are refused', async (t) => {
  const up = await sink(t);
  const authority = `up.test:${up.port}`;
  const { door, row, rows } = await rig(t, {
    rules: [rule('up.test', up.port, { methods: ['GET', 'POST', 'TRACE', 'CONNECT', 'OPTIONS'] })],
    hosts: { 'up.test': '127.0.0.1' },
  });
  await door.set({ phase: 'setup' });
  const host = `Host: ${authority}\r\n`;
  const cases: [number, string, string][] = [
    [421, 'another Host', 'GET / HTTP/1.1\r\nHost: other.test\r\n\r\n'],
    [421, 'another port in Host', 'GET / HTTP/1.1\r\nHost: up.test:1\r\n\r\n'],
    [400, 'no Host', 'GET / HTTP/1.1\r\n\r\n'],
    [400, 'two Hosts', `GET / HTTP/1.1\r\n${host}${host}\r\n`],
    [400, 'two contradicting Hosts', `GET / HTTP/1.1\r\n${host}Host: other.test\r\n\r\n`],
    [400, 'length and chunks', `POST / HTTP/1.1\r\n${host}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    [400, 'two lengths', `POST / HTTP/1.1\r\n${host}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx`],
    [400, 'two codings', `POST / HTTP/1.1\r\n${host}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    [400, 'trailers', `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nTrailer: x\r\n\r\n0\r\nx: y\r\n\r\n`],
    [400, 'an absolute URI', `GET https://other.test/ HTTP/1.1\r\n${host}\r\n`],
    [400, 'a bare line feed', `GET / HTTP/1.1\n${host}X: a\n b\r\n\r\n`],
    [400, 'dots in the path', `GET /a/%2e%2e/b HTTP/1.1\r\n${host}\r\n`],
    [405, 'TRACE', `TRACE / HTTP/1.1\r\n${host}Authorization: canary\r\n\r\n`],
    [405, 'CONNECT inside', `CONNECT other.test:443 HTTP/1.1\r\n${host}\r\n`],
    [400, 'upgrade', `GET / HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`],
    [400, 'HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    [400, 'a head without end', `GET / HTTP/1.1\r\n${host}X: ${'x'.repeat(40_000)}\r\n\r\n`],
  ];
  for (const [index, [status, what, bytes]] of cases.entries()) {
    const answer = await inside(door, authority, bytes);
    assert.equal(statusOf(answer), status, what);
    assert.doesNotMatch(answer, /canary/, what);
    assert.equal((await row(index + 1)).verdict, 'refused', what);
  }
  assert.equal(rows.length, cases.length, 'one row each');
  assert.equal(up.requests.length, 0);
  const two = await inside(door, authority, `GET /1 HTTP/1.1\r\n${host}\r\nGET /2 HTTP/1.1\r\n${host}\r\n`);
  assert.match(two, /^HTTP\/1\.1 200[\s\S]*HTTP\/1\.1 400/);
  await row(cases.length + 2);
  assert.deepEqual(
    up.requests.map((each) => each.url),
    ['/1'],
  );
});

test('the absolute form and the Host header have to agree, and plain http goes to port 80 only', async (t) => {
  const up = await sink(t, undefined, { tls: false });
  const { door, row } = await rig(t, { rules: [rule('up.test', up.port)], hosts: { 'up.test': '127.0.0.1' } });
  await door.set({ phase: 'setup' });
  const send = (url: string, host: string) => raw(door, `GET ${url} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  assert.equal(statusOf(await send(`http://up.test:${up.port}/`, `other.test:${up.port}`)), 421);
  assert.equal(statusOf(await send('/', 'up.test')), 400);
  assert.equal(statusOf(await send('https://up.test/', 'up.test')), 400);
  assert.equal(statusOf(await send('ftp://up.test/', 'up.test')), 400);
  const answer = await send(`http://up.test:${up.port}/`, `up.test:${up.port}`);
  assert.equal(statusOf(answer), 403);
  assert.match(answer, /use https/);
  await row(5);
  assert.equal(up.connections(), 0);
});

test('names at private, metadata and other special addresses are not dialled', async (t) => {
  const addresses = [
    '127.0.0.1',
    '10.0.0.1',
    '100.64.0.1',
    '169.254.169.254',
    '192.168.0.1',
    '::1',
    'fd00:ec2::254',
    'fe80::1',
    '::ffff:127.0.0.1',
    '64:ff9b::7f00:1',
  ];
  const up = await sink(t);
  const hosts = Object.fromEntries(addresses.map((address, index) => [`n${index}.up.test`, address]));
  const { door, row } = await rig(t, {
    rules: [rule('*.up.test', up.port, { privateAddresses: [] }), rule('up.test', up.port)],
    hosts: { ...hosts, 'up.test': '127.0.0.1' },
  });
  await door.set({ phase: 'setup' });
  for (const [index, address] of addresses.entries()) {
    assert.equal((await ask(door, `n${index}.up.test:${up.port}`)).status, 403, address);
    assert.equal((await row(index + 1)).address, address);
  }
  assert.equal(up.connections(), 0);
  assert.equal((await ask(door, `up.test:${up.port}`)).status, 200, 'positive control: the rule that opens loopback');
});

test('a redirect is followed by the client alone, and its next hop is decided anew', async (t) => {
  const up = await sink(t, (_, response) => response.writeHead(302, { location: 'https://other.test/' }).end());
  const { door } = await rig(t, {
    rules: [rule('up.test', up.port)],
    hosts: { 'up.test': '127.0.0.1', 'other.test': '127.0.0.1' },
  });
  await door.set({ phase: 'setup' });
  const first = await ask(door, `up.test:${up.port}`);
  assert.deepEqual([first.status, first.headers.location], [302, 'https://other.test/']);
  assert.equal((await ask(door, 'other.test:443')).status, 403);
  assert.equal(up.connections(), 1);
});

test('an upstream whose certificate nobody vouches for is not spoken to', async (t) => {
  const up = await sink(t);
  const other = await createTaskAuthority();
  const { door, row } = await rig(t, {
    authorities: other.certificate,
    rules: [rule('up.test', up.port)],
    hosts: { 'up.test': '127.0.0.1' },
  });
  await door.set({ phase: 'setup' });
  assert.equal((await ask(door, `up.test:${up.port}`)).status, 502);
  assert.equal((await row(1)).verdict, 'failed');
  assert.equal(up.requests.length, 0);
});

test('an answer that is no valid HTTP fails by itself, and the door goes on', async (t) => {
  const heads = [
    'HTTP/1.1 099 Odd\r\n\r\n',
    'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    'nonsense\r\n\r\n',
    'HTTP/1.1 200 OK\r\nX: a\x01b\r\n\r\n',
  ];
  let served = 0;
  const up = await sink(t, (_, response) => void response.socket?.end(heads[served++] ?? 'HTTP/1.1 204 Fine\r\n\r\n'));
  const { door, row } = await rig(t, { rules: [rule('up.test', up.port)], hosts: { 'up.test': '127.0.0.1' } });
  await door.set({ phase: 'setup' });
  for (const [index, head] of heads.entries()) {
    assert.equal((await ask(door, `up.test:${up.port}`)).status, 502, head);
    assert.equal((await row(index + 1)).verdict, 'failed');
  }
  assert.equal((await ask(door, `up.test:${up.port}`)).status, 204);
});

test('credentials and hop-by-hop headers of the client stay behind', async (t) => {
  const up = await sink(t);
  const { door } = await rig(t, { rules: [rule('up.test', up.port)], hosts: { 'up.test': '127.0.0.1' } });
  await door.set({ phase: 'setup' });
  const headers = {
    authorization: 'Bearer stolen',
    cookie: 'stolen',
    'proxy-authorization': 'stolen',
    'x-api-key': 'stolen',
    te: 'stolen',
    'x-hop': 'stolen',
    'x-plain': 'kept',
    connection: 'close, x-hop',
  };
  assert.equal((await ask(door, `up.test:${up.port}`, '/', { headers })).status, 200);
  assert.equal(up.requests[0]?.headers['x-plain'], 'kept');
  assert.doesNotMatch(JSON.stringify(up.requests[0]?.headers), /stolen/);
});

test('set cuts what the new phase does not allow, and shut lets nothing through', async (t) => {
  let more = () => {};
  const up = await sink(t, (_, response) => {
    response.write('begun');
    more = () => void response.write('more');
  });
  const authority = `up.test:${up.port}`;
  const { door, row } = await rig(t, {
    rules: [rule('up.test', up.port, { phases: ['setup', 'verify'] })],
    hosts: { 'up.test': '127.0.0.1' },
  });
  assert.equal((await ask(door, authority)).status, 403, 'a door starts shut');
  await door.set({ phase: 'setup' });
  const { socket } = await tunnel(door, authority);
  const secure = secureConnect({ socket, servername: 'up.test', ca: door.authority });
  secure.on('error', () => {});
  secure.write(`GET / HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  await within('the answer’s beginning', once(secure, 'data'));
  await door.set({ phase: 'verify' });
  more();
  const [still] = await within('what is still allowed in verify', once(secure, 'data'));
  assert.match(String(still), /more/);
  const closed = once(secure, 'close');
  await door.set({ phase: 'agent', model: null });
  await within('the cut', closed);
  const cut = await row(2);
  assert.deepEqual([cut.verdict, cut.reason], ['refused', "the door's phase became agent"]);
  await door.set({ phase: 'shut' });
  assert.equal((await ask(door, authority)).status, 403);
});

test('one door’s exhaustion is its own', async (t) => {
  const up = await sink(t);
  const options = { rules: [rule('up.test', up.port)], hosts: { 'up.test': '127.0.0.1' } };
  const { door } = await rig(t, options);
  const sibling = await rig(t, options);
  await door.set({ phase: 'setup' });
  await sibling.door.set({ phase: 'setup' });
  const sockets = await Promise.all(
    Array.from({ length: 256 }, async () => {
      const socket = connect(door.socket);
      await once(socket, 'connect');
      return socket;
    }),
  );
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  assert.equal(statusOf(await raw(door, '')), 503);
  assert.equal((await ask(sibling.door, `up.test:${up.port}`)).status, 200);
  for (const socket of sockets.splice(0, 10)) socket.destroy();
  let status = 0;
  for (let tries = 0; tries < 200 && status !== 200; tries++) status = (await ask(door, `up.test:${up.port}`)).status;
  assert.equal(status, 200, 'slots come back');
});

/** More than any buffer between holds. */
const LONG = 768 * 1024;

/** Sends that much behind a head, and gives what was read and how it ended. */
async function sentLong(socket: Duplex, head: string): Promise<{ text: string; ended: string }> {
  let ended = 'orderly';
  socket.on('error', (error) => {
    ended = error.message;
  });
  socket.write(head + 'x'.repeat(LONG), 'latin1');
  return { text: await all(socket), ended };
}

test('who is refused while still sending reads why, and is not reset', async (t) => {
  const slots = 4;
  const { door, rows } = await rig(t, { limits: { ...DOOR_LIMITS, slots }, rules: [rule('up.test', 443)] });
  await door.set({ phase: 'setup' });
  const post = (url: string) => `POST ${url} HTTP/1.1\r\nHost: up.test\r\nContent-Length: ${LONG}\r\n\r\n`;
  const secured = async () => {
    const { socket } = await tunnel(door, 'up.test:443');
    return secureConnect({ socket, servername: 'up.test', ca: door.authority });
  };
  const refused = [
    await sentLong(connect(door.socket), post('http://up.test/')),
    await sentLong(connect(door.socket), 'GET http://up.test/ HTTP/1.1\r\nx: '),
    await sentLong((await tunnel(door, 'up.test:443')).socket, 'not TLS'),
    await sentLong(await secured(), post('/')),
    await sentLong(await secured(), 'GET / HTTP/1.1\r\nx: '),
  ];
  const holding = await Promise.all(Array.from({ length: slots }, () => tunnel(door, 'up.test:443')));
  refused.push(await sentLong(connect(door.socket), post('http://up.test/')));
  for (const { socket } of holding) socket.destroy();
  assert.deepEqual(
    refused.map(({ text, ended }) => [statusOf(text), ended]),
    [403, 400, 403, 403, 400, 503].map((status) => [status, 'orderly']),
  );
  for (const { text } of refused) assert.match(text, /\r\n\r\ncoatcheck refused .+\n/);
  assert.deepEqual(
    rows.slice(0, 6).map(({ status }) => status),
    [403, 400, 403, 403, 400, 503],
    'one row each',
  );
});

test('killed in the middle of an answer, the door cuts it and nothing passes after', async (t) => {
  const up = await sink(t, (_, response) => void response.write('begun'));
  const directory = temporary(t);
  const { door } = await rig(t, { directory, rules: [rule('up.test', up.port)], hosts: { 'up.test': '127.0.0.1' } });
  await door.set({ phase: 'setup' });
  const { socket } = await tunnel(door, `up.test:${up.port}`);
  const secure = secureConnect({ socket, servername: 'up.test', ca: door.authority });
  secure.on('error', () => {});
  secure.write(`GET / HTTP/1.1\r\nHost: up.test:${up.port}\r\n\r\n`);
  await within('the answer’s beginning', once(secure, 'data'));
  const closed = once(secure, 'close');
  process.kill(doorProcess(directory), 'SIGKILL');
  await within('the cut', closed);
  await within('died', door.died);
  await assert.rejects(raw(door, 'GET http://up.test/ HTTP/1.1\r\n\r\n'), { code: 'ENOENT' });
  assert.equal(up.connections(), 1);
});

test('the process that reads hostile bytes has no right, no secret and no view of the host', async (t) => {
  const directory = temporary(t);
  await rig(t, { directory });
  const pid = cagedProcess(directory);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const uid = Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]);
  assert.ok(process.getuid?.() !== 0 || uid >= 0x7000_0000, `uid ${uid}`);
  assert.match(status, /CapEff:\s+0{16}[\s\S]*NoNewPrivs:\s+1/);
  assert.equal(readFileSync(`/proc/${pid}/environ`, 'utf8').replace('PWD=/tmp\0', ''), '');
  assert.ok(existsSync('/root') && existsSync('/etc/shadow') && existsSync('/var/run'), 'positive control');
  for (const path of ['/root', '/etc/shadow', '/var/run', '/run', '/home', '/var/run/docker.sock'])
    assert.equal(existsSync(`/proc/${pid}/root${path}`), false, path);
});

test('when the door’s process dies nothing passes and died settles; close is idempotent', async (t) => {
  const up = await sink(t);
  const stop = new AbortController();
  const directory = temporary(t);
  const { door } = await rig(t, {
    directory,
    signal: stop.signal,
    rules: [rule('up.test', up.port)],
    hosts: { 'up.test': '127.0.0.1' },
  });
  await door.set({ phase: 'setup' });
  assert.equal((await ask(door, `up.test:${up.port}`)).status, 200);
  stop.abort();
  await within('died', door.died);
  assert.deepEqual(readdirSync(directory), []);
  await door.close();
  await assert.rejects(door.set({ phase: 'setup' }), { code: 'door_died' });
  assert.equal(up.requests.length, 1);
});

test('large bodies stream both ways', async (t) => {
  const size = 32 * 1024 * 1024;
  const up = await sink(t, (request, response) => void request.pipe(response));
  const { door, row } = await rig(t, {
    rules: [rule('up.test', up.port, { methods: ['POST'] })],
    hosts: { 'up.test': '127.0.0.1' },
  });
  await door.set({ phase: 'setup' });
  const answer = await ask(door, `up.test:${up.port}`, '/', { method: 'POST', body: 'x'.repeat(size) });
  assert.equal(answer.body.length, size);
  const { bytesUp, bytesDown } = await row(1);
  assert.deepEqual([bytesUp, bytesDown], [size, size]);
});

test('the authority of one task does not vouch for another', async (t) => {
  const first = await rig(t);
  const second = await rig(t);
  assert.notEqual(first.door.authority, second.door.authority);
  assert.notEqual(first.door.authority, outside.certificate);
});
