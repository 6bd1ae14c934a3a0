import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DOOR_LIMITS } from '../../src/door/door.ts';
import { openDoor } from '../../src/door/open-door.ts';
import { ServiceRule } from '../../src/policy/egress.ts';
import { ask, raw, rig, rule, sink, statusOf, temporary } from './door-rig.ts';

const SECRET = 'canary-4f9a1c2e7d';
const bearer = { header: 'authorization', value: `Bearer ${SECRET}` };

test('a rule’s credential is added to that rule’s requests alone, in place of the client’s own', async (t) => {
  const up = await sink(t);
  const { door, rows, row } = await rig(t, {
    rules: [
      rule('up.test', up.port, { id: 'private', paths: ['/private'] }),
      rule('up.test', up.port, { id: 'public', paths: ['/public'] }),
      rule('other.test', up.port, { id: 'other' }),
    ],
    hosts: { 'up.test': '127.0.0.1', 'other.test': '127.0.0.1' },
    credentials: { private: bearer },
  });
  await door.set({ phase: 'setup' });
  const headers = {
    authorization: 'Bearer stolen',
    cookie: 'stolen',
    'private-token': 'stolen',
    'x-gitlab-token': 'stolen',
    'job-token': 'stolen',
    'x-jfrog-art-api': 'stolen',
    'proxy-authorization': 'stolen',
  };
  const seen = async (host: string, path: string) => {
    assert.equal((await ask(door, `${host}:${up.port}`, path, { headers })).status, 200);
    return up.requests.at(-1)?.headers;
  };
  assert.equal((await seen('up.test', '/private'))?.authorization, `Bearer ${SECRET}`);
  assert.equal((await seen('up.test', '/public'))?.authorization, undefined);
  assert.equal((await seen('other.test', '/'))?.authorization, undefined);
  assert.doesNotMatch(JSON.stringify(up.requests.map((each) => each.headers)), /stolen/);
  for (const query of ['access_token=x', 'a=b&private_token=x', 'access%5ftoken=x'])
    assert.equal((await ask(door, `up.test:${up.port}`, `/public?${query}`)).status, 403, query);
  await row(6);
  assert.equal(up.requests.length, 3);
  assert.doesNotMatch(JSON.stringify(rows), new RegExp(SECRET));
});

test('a credential does not come back: not by TRACE, not in a header, not to where a redirect leads', async (t) => {
  const pair = Buffer.from(`user:${SECRET}`).toString('base64');
  const up = await sink(t, (request, response) => {
    const { authorization = '' } = request.headers;
    response.writeHead(302, {
      location: `https://other.test/?t=${encodeURIComponent(authorization)}`,
      'x-echo': authorization,
      'x-pair': authorization.slice(6),
      'x-clear': Buffer.from(authorization.slice(6), 'base64').toString(),
      'x-plain': 'kept',
    });
    response.end();
  });
  const other = await sink(t);
  const methods = ['GET', 'TRACE'];
  const { door, row, rows } = await rig(t, {
    rules: [rule('up.test', up.port, { id: 'private', methods }), rule('other.test', other.port, { id: 'other' })],
    hosts: { 'up.test': '127.0.0.1', 'other.test': '127.0.0.1' },
    credentials: { private: { header: 'authorization', value: `Basic ${pair}` } },
  });
  await door.set({ phase: 'setup' });
  const answer = await ask(door, `up.test:${up.port}`);
  assert.deepEqual([answer.status, answer.headers['x-plain']], [302, 'kept']);
  assert.doesNotMatch(JSON.stringify(answer.headers), new RegExp(`${SECRET}|${pair}`));
  assert.equal((await ask(door, `up.test:${up.port}`, '/', { method: 'TRACE' })).status, 405);
  assert.equal((await ask(door, `other.test:${other.port}`)).status, 200, 'where it leads is asked by the client');
  assert.equal(other.requests[0]?.headers.authorization, undefined);
  await row(3);
  assert.doesNotMatch(JSON.stringify(rows), new RegExp(`${SECRET}|${pair}`));
});

test('a credential that could leave in the clear, or has no rule of its own, stops the door from opening', async (t) => {
  const service = ServiceRule.parse({ how: 'service', id: 'db', host: 'db.test', port: 5432, listen: 5432 });
  const cases = [
    { rules: [rule('up.test', 80, { id: 'private' })], credentials: { private: bearer } },
    { rules: [rule('up.test', 443, { id: 'private' })], credentials: { elsewhere: bearer } },
    { rules: [service], credentials: { db: bearer } },
    { rules: [rule('up.test', 443, { id: 'private' })], credentials: { private: { header: 'host', value: SECRET } } },
    { rules: [rule('up.test', 443, { id: 'private' })], credentials: { private: { ...bearer, value: `${SECRET}\r\nx: y` } } },
  ];
  for (const each of cases) {
    const opening = openDoor({
      directory: temporary(t),
      gitSocket: null,
      repositories: [],
      github: null,
      limits: DOOR_LIMITS,
      authorities: '',
      upstreamProxy: null,
      hosts: {},
      signal: new AbortController().signal,
      onDecision: () => {},
      ...each,
    });
    await assert.rejects(opening, (error: unknown) => {
      assert.ok(error instanceof Error && 'code' in error && error.code === 'credential_misplaced');
      assert.doesNotMatch(String(error), new RegExp(SECRET));
      return true;
    });
  }
});

test('a head that names more headers than a parser keeps cannot hide how long its body is', async (t) => {
  const up = await sink(t, undefined, { tls: false, host: '127.0.0.5', port: 80 });
  const { door, row } = await rig(t, { rules: [rule('up.test', 80)], hosts: { 'up.test': '127.0.0.5' } });
  await door.set({ phase: 'setup' });
  const hidden = 'GET /hidden HTTP/1.1\r\nHost: up.test\r\n\r\n';
  const smuggled = (fillers: number) =>
    `GET http://up.test/ HTTP/1.1\r\nHost: up.test\r\n${'a:\r\n'.repeat(fillers)}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`;
  assert.equal(statusOf(await raw(door, smuggled(2100))), 400);
  assert.match((await row(1)).reason, /more than 200 headers/);
  assert.equal(up.requests.length, 0);
  assert.equal(statusOf(await raw(door, smuggled(1))), 200, 'positive control');
  assert.deepEqual([up.requests.length, up.requests[0]?.body], [1, hidden]);
});
