import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { GIT_ROUTE, MODEL_ROUTE } from '../../src/door/door.ts';
import { ask, raw, rig, sink, statusOf, temporary } from './door-rig.ts';

const plain = (method: string, url: string, host: string, extra = '') =>
  `${method} ${url} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${extra}\r\n`;

test('the git route fetches, in set-up and agent turns only, and never pushes', async (t) => {
  const directory = temporary(t);
  const gitSocket = join(directory, 'git.sock');
  const { chmodSync } = await import('node:fs');
  chmodSync(directory, 0o755);
  const gateway = await sink(t, undefined, { tls: false, path: gitSocket });
  chmodSync(gitSocket, 0o666);
  const { door, rows, row } = await rig(t, { gitSocket });
  const git = async (method: string, path: string) =>
    statusOf(await raw(door, plain(method, `http://${GIT_ROUTE}${path}`, GIT_ROUTE)));
  const refs = '/owner/name.git/info/refs?service=git-upload-pack';
  for (const state of [{ phase: 'setup' }, { phase: 'agent', model: null }] as const) {
    await door.set(state);
    assert.equal(await git('GET', refs), 200, state.phase);
    assert.equal(await git('POST', '/owner/name.git/git-upload-pack'), 200, state.phase);
  }
  const asked = gateway.requests.length;
  assert.equal(asked, 4);
  assert.equal((await row(1)).route, 'git');
  const refused: [string, string][] = [
    ['GET', '/owner/name.git/info/refs?service=git-receive-pack'],
    ['POST', '/owner/name.git/git-receive-pack'],
    ['GET', '/owner/name.git/info/refs'],
    ['GET', '/owner/name.git/HEAD'],
    ['GET', '/owner/name.git/info/refs?service=git-receive-pack&x=/info/refs?service=git-upload-pack'],
    ['POST', '/owner/name.git/git-receive-pack?/git-upload-pack'],
    ['PUT', '/owner/name.git/git-upload-pack'],
  ];
  for (const [method, path] of refused) assert.equal(await git(method, path), 403, `${method} ${path}`);
  for (const phase of ['verify', 'shut'] as const) {
    await door.set({ phase });
    assert.equal(await git('GET', refs), 403, phase);
  }
  assert.equal((await ask(door, `${GIT_ROUTE}:443`)).status, 403, 'no tunnel');
  assert.equal(gateway.requests.length, asked);
  // Rows come over a pipe of their own; closing resolves after the last.
  await door.close();
  assert.equal(rows.length, 4 + refused.length + 3);
});

test('the model route is open in agent turns only, with the host’s key in place of the client’s', async (t) => {
  const gateway = await sink(t, undefined, { tls: false });
  const { door, row } = await rig(t);
  const key = 'attempt-key';
  const model = { url: `http://127.0.0.1:${gateway.port}/model/v1/`, key };
  const call = () =>
    raw(
      door,
      plain(
        'POST',
        `http://${MODEL_ROUTE}/messages?beta=true`,
        MODEL_ROUTE,
        'x-api-key: own\r\nauthorization: Bearer own\r\nx-version: 1\r\nContent-Length: 2\r\n',
      ).concat('hi'),
    );
  for (const state of [{ phase: 'setup' }, { phase: 'agent', model: null }, { phase: 'verify' }, { phase: 'shut' }] as const) {
    await door.set(state);
    assert.equal(statusOf(await call()), 403, state.phase);
  }
  assert.equal(gateway.connections(), 0);
  await door.set({ phase: 'agent', model });
  const answer = await call();
  assert.equal(statusOf(answer), 200);
  const seen = gateway.requests[0];
  assert.deepEqual([seen?.url, seen?.body, seen?.headers['x-version']], ['/model/v1/messages?beta=true', 'hi', '1']);
  assert.deepEqual([seen?.headers['x-api-key'], seen?.headers.authorization], [key, `Bearer ${key}`]);
  assert.doesNotMatch(answer, new RegExp(key));
  const last = await row(5);
  assert.deepEqual([last.route, last.verdict, last.rule], ['model', 'allowed', 'model']);
  assert.equal(statusOf(await raw(door, plain('TRACE', `http://${MODEL_ROUTE}/`, MODEL_ROUTE))), 405);
});

test('a model’s stream arrives piece by piece', async (t) => {
  let finish: (() => void) | null = null;
  const gateway = await sink(
    t,
    (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: one\n\n');
      finish = () => response.end('data: two\n\n');
    },
    { tls: false },
  );
  const { door } = await rig(t);
  await door.set({ phase: 'agent', model: { url: `http://127.0.0.1:${gateway.port}`, key: 'k' } });
  const request = http.get({ socketPath: door.socket, path: `http://${MODEL_ROUTE}/v1`, headers: { host: MODEL_ROUTE } });
  const [response] = await once(request, 'response');
  const [first] = await once(response, 'data');
  assert.equal(String(first), 'data: one\n\n', 'before the answer has ended');
  assert.ok(finish !== null);
  (finish as () => void)();
  const [second] = await once(response, 'data');
  assert.equal(String(second), 'data: two\n\n');
});
