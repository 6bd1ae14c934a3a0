import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import { createTaskAuthority } from '../../src/door/certificates.ts';
import { ServiceRule, TunnelRule } from '../../src/policy/egress.ts';
import { nodeHello } from '../door/hellos.ts';
import { all, ask, outside, rig, rule, sink, type Teardown, tunnel } from './door-rig.ts';

interface ForwardProxy {
  readonly port: number;
  readonly asked: { readonly authority: string; readonly credential: string | undefined }[];
}

/** A company's forward proxy: wants a credential, resolves by itself, and sends every tunnel to one port of loopback. */
async function forwardProxy(t: Teardown, to: number, secure = false): Promise<ForwardProxy> {
  const asked: ForwardProxy['asked'] = [];
  const server = secure
    ? https.createServer({ SNICallback: (name, done) => void outside.contextFor(name).then((context) => done(null, context)) })
    : http.createServer();
  const sockets = new Set<Socket>();
  server.on('connect', (request, socket) => {
    const credential = request.headers['proxy-authorization'];
    asked.push({ authority: request.url ?? '', credential });
    socket.on('error', () => {});
    if (credential !== `Basic ${Buffer.from('user:p@ss').toString('base64')}`) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    const target = connect(to, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      target.pipe(socket).pipe(target);
    });
    sockets.add(target);
    target.on('error', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return { port: address.port, asked };
}

const NAME = 'nowhere.invalid';
const opened = { phases: ['setup'], host: NAME };

test('the company’s forward proxy resolves and dials, for what is inspected, tunnels and services, and the record says so', async (t) => {
  const up = await sink(t);
  const proxy = await forwardProxy(t, up.port);
  const { door, row, rows } = await rig(t, {
    rules: [
      rule(NAME, 443),
      rule('169.254.169.254', 443),
      TunnelRule.parse({ how: 'tunnel', id: 'tunnel', ports: [8443], ...opened }),
      ServiceRule.parse({ how: 'service', id: 'db', port: 5432, listen: 15432, ...opened }),
      ServiceRule.parse({ how: 'service', id: 'meta', port: 5432, listen: 15433, phases: ['setup'], host: '169.254.169.254' }),
    ],
    upstreamProxy: `http://user:p%40ss@127.0.0.1:${proxy.port}`,
  });
  await door.set({ phase: 'setup' });
  const answer = await ask(door, `${NAME}:443`, '/x');
  assert.deepEqual([answer.status, answer.body], [200, 'outside']);
  assert.match((await row(1)).reason, /forward proxy resolved/);
  const opaque = await tunnel(door, `${NAME}:8443`);
  const secure = tls.connect({ socket: opaque.socket, servername: NAME, ca: outside.certificate });
  secure.on('error', () => {});
  secure.write(`GET /y HTTP/1.1\r\nHost: ${NAME}\r\nConnection: close\r\n\r\n`);
  assert.match(await all(secure), /outside/);
  await row(2);
  const service = await tunnel(door, `${NAME}:5432`);
  service.socket.end(await nodeHello({ servername: NAME }));
  assert.equal(service.status, 200);
  await all(service.socket);
  await row(3);
  const credential = `Basic ${Buffer.from('user:p@ss').toString('base64')}`;
  assert.deepEqual(
    proxy.asked,
    [443, 8443, 5432].map((port) => ({ authority: `${NAME}:${port}`, credential })),
  );
  assert.deepEqual(
    rows.map(({ route, verdict, resolver }) => [route, verdict, resolver]),
    [
      ['egress', 'allowed', 'proxy'],
      ['tunnel', 'allowed', 'proxy'],
      ['service', 'allowed', 'proxy'],
    ],
  );
  assert.equal((await ask(door, '169.254.169.254:443', '/x')).status, 403, 'an address is judged all the same');
  assert.equal((await tunnel(door, '169.254.169.254:5432')).status, 403);
  assert.equal((await ask(door, 'other.invalid:443')).status, 403);
  assert.equal(proxy.asked.length, 3);
  await row(6);
  assert.doesNotMatch(JSON.stringify(rows), /p@ss|p%40ss/);
});

test('a forward proxy that says no, is not there, or is spoken to in TLS', async (t) => {
  const up = await sink(t);
  const proxy = await forwardProxy(t, up.port, true);
  const rules = [ServiceRule.parse({ how: 'service', id: 'db', port: 5432, listen: 15432, ...opened }), rule(NAME, 443)];
  const through = async (upstreamProxy: string) => {
    const made = await rig(t, { rules, upstreamProxy, hosts: { 'proxy.test': '127.0.0.1' } });
    await made.door.set({ phase: 'setup' });
    return made;
  };
  const refused = await through(`https://localhost:${proxy.port}`);
  const answer = await tunnel(refused.door, `${NAME}:5432`);
  assert.equal(answer.status, 502);
  assert.match((await refused.row(1)).reason, /forward proxy answered 407/);
  const absent = await through('http://127.0.0.1:1');
  assert.equal((await tunnel(absent.door, `${NAME}:5432`)).status, 502);
  assert.equal((await ask(absent.door, `${NAME}:443`)).status, 502);
  const allowed = await through(`https://user:p%40ss@localhost:${proxy.port}`);
  assert.equal((await tunnel(allowed.door, `${NAME}:5432`)).status, 200);
});

test('an upstream signed by the company’s own authority is trusted where that authority is given', async (t) => {
  const up = await sink(t);
  const company = await createTaskAuthority();
  const options = { rules: [rule('up.test', up.port)], hosts: { 'up.test': '127.0.0.1' } };
  const trusting = await rig(t, { ...options, authorities: `${company.certificate}${outside.certificate}` });
  const doubting = await rig(t, { ...options, authorities: company.certificate });
  await trusting.door.set({ phase: 'setup' });
  await doubting.door.set({ phase: 'setup' });
  assert.equal((await ask(trusting.door, `up.test:${up.port}`)).status, 200);
  assert.equal((await ask(doubting.door, `up.test:${up.port}`)).status, 502);
  assert.equal((await doubting.row(1)).verdict, 'failed');
});
