import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { serveUploadPack } from '../../src/git/gateway.ts';
import { checkoutCommands, layIn } from '../../src/git/lay-in.ts';
import { inside } from './inside.ts';
import { bareRepository, commitFiles, gitAs, PERSON, temporary } from './repositories.ts';

const run = promisify(execFile);
const bound = AbortSignal.timeout(60_000);

async function world(t: Parameters<typeof temporary>[0]) {
  const root = temporary(t);
  const upstream = bareRepository(root, 'upstream', { 'a.txt': 'one\n' });
  const second = commitFiles(upstream.path, { 'a.txt': 'two\n', 'b.txt': 'b\n' }, [upstream.sha]);
  gitAs(upstream.path, ['update-ref', 'refs/heads/main', second]);
  gitAs(upstream.path, ['update-ref', 'refs/keep/1', upstream.sha]);
  gitAs(upstream.path, ['tag', 'v1', 'main']);
  const socket = join(root, 'git.sock');
  const mirror = { path: upstream.path, update: async () => {} };
  const gateway = await serveUploadPack(mirror, { socket, repository: 'acme/widget', signal: bound });
  t.after(() => gateway.close());
  return { root, socket, gateway, second };
}

/** A TCP port that leads to the socket, as the relay in a sandbox does. */
async function relay(t: { after: (fn: () => void) => void }, socket: string): Promise<string> {
  const server = createServer();
  server.on('request', (incoming, outgoing) => {
    const up = request(
      { socketPath: socket, path: incoming.url, method: incoming.method, headers: incoming.headers },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(outgoing);
      },
    );
    up.on('error', () => outgoing.destroy());
    incoming.pipe(up);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/acme/widget.git`;
}

async function ask(socket: string, method: string, path: string, body = Buffer.alloc(0), headers: Record<string, string> = {}) {
  const sent = request({ socketPath: socket, method, path, headers });
  sent.end(body);
  const [answer] = await once(sent, 'response');
  return { status: answer.statusCode, body: await buffer(answer) };
}

for (const version of ['0', '2']) {
  test(`a clone by protocol version ${version} works and shows branches and tags only`, async (t) => {
    const { root, socket, second } = await world(t);
    const url = await relay(t, socket);
    const options = {
      env: { ...PERSON, GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'protocol.version', GIT_CONFIG_VALUE_0: version },
    };
    await run('git', ['clone', '--quiet', url, join(root, 'clone')], options);
    assert.equal(gitAs(join(root, 'clone'), ['rev-parse', 'HEAD']), second);
    const { stdout } = await run('git', ['ls-remote', url], options);
    const refs = stdout
      .trim()
      .split('\n')
      .map((line) => line.split('\t')[1]);
    assert.deepEqual(refs, ['HEAD', 'refs/heads/main', 'refs/tags/v1']);
  });
}

test('a laid-in repository is deepened through the gateway', async (t) => {
  const { root, socket, second } = await world(t);
  const url = await relay(t, socket);
  const mirror = { path: join(root, 'upstream.git'), update: async () => {} };
  await using laid = await layIn(mirror, {
    sha: second,
    ref: 'main',
    depth: 1,
    originUrl: url,
    byteLimit: 1 << 24,
    signal: bound,
  });
  const workTree = join(root, 'work');
  for (const command of checkoutCommands({ sha: second, workTree })) {
    assert.equal((await inside(command, command.stdin === 'tar' ? laid.stream() : undefined)).code, 0);
  }
  assert.equal(gitAs(workTree, ['rev-list', '--count', 'HEAD']), '1');
  await run('git', ['-C', workTree, 'fetch', '--quiet', '--unshallow'], { env: PERSON });
  assert.equal(gitAs(workTree, ['rev-list', '--count', 'HEAD']), '2');
});

test('a push is refused, and nothing but upload-pack of this repository answers', async (t) => {
  const { root, socket, second } = await world(t);
  const url = await relay(t, socket);
  await run('git', ['clone', '--quiet', url, join(root, 'clone')], { env: PERSON });
  gitAs(join(root, 'clone'), ['commit', '--quiet', '--allow-empty', '-m', 'x']);
  await assert.rejects(run('git', ['-C', join(root, 'clone'), 'push', url, 'HEAD:main'], { env: PERSON }), /403/);
  assert.equal(gitAs(join(root, 'upstream.git'), ['rev-parse', 'main']), second);
  for (const [method, path, status] of [
    ['GET', '/acme/widget.git/info/refs?service=git-upload-pack', 200],
    ['GET', '/acme/widget.git/info/refs?service=git-receive-pack', 403],
    ['POST', '/acme/widget.git/git-receive-pack', 403],
    ['GET', '/acme/widget.git/info/refs', 404],
    ['GET', '/acme/widget.git/HEAD', 404],
    ['GET', '/acme/widget.git/config', 404],
    ['GET', '/acme/other.git/info/refs?service=git-upload-pack', 404],
    ['GET', '/acme/widget.git/../widget.git/info/refs?service=git-upload-pack', 404],
    ['PUT', '/acme/widget.git/git-upload-pack', 404],
  ] as const) {
    assert.equal((await ask(socket, method, path)).status, status, `${method} ${path}`);
  }
});

test('a zipped request is read, a zip bomb is cut', async (t) => {
  const { socket } = await world(t);
  const path = '/acme/widget.git/git-upload-pack';
  const headers = {
    'content-type': 'application/x-git-upload-pack-request',
    'git-protocol': 'version=2',
    'content-encoding': 'gzip',
  };
  const listing = Buffer.from('0014command=ls-refs\n00010000');
  const answer = await ask(socket, 'POST', path, gzipSync(listing), headers);
  assert.match(answer.body.toString(), /refs\/heads\/main/);
  assert.equal((await ask(socket, 'POST', path, listing, { ...headers, 'content-encoding': 'br' })).status, 400);
  const bomb = gzipSync(Buffer.alloc(256 << 20, '0014command=ls-refs\n'), { level: 1 });
  await assert.rejects(ask(socket, 'POST', path, bomb, headers), /socket hang up|aborted|ECONNRESET|EPIPE/);
});

test('clients that hang up in the middle of a pack keep nobody else from being served', async (t) => {
  const { root, socket, gateway } = await world(t);
  const path = join(root, 'upstream.git');
  const sha = commitFiles(path, { 'large.bin': randomBytes(16 << 20) }, []);
  gitAs(path, ['update-ref', 'refs/heads/main', sha]);
  const body = `0012command=fetch\n00010032want ${sha}\n0009done\n0000`;
  const headers = { 'content-type': 'application/x-git-upload-pack-request', 'git-protocol': 'version=2' };
  for (let i = 0; i < 6; i++) {
    const sent = request({ socketPath: socket, method: 'POST', path: '/acme/widget.git/git-upload-pack', headers });
    sent.end(body);
    const [answer] = await once(sent, 'response');
    assert.equal(answer.statusCode, 200);
    await once(answer, 'readable');
    assert.ok(answer.read() !== null);
    answer.on('error', () => {});
    answer.destroy();
    await once(answer, 'close');
    // The next one may come before the last one's process is gone; wait until it is.
    while ((await ask(socket, 'GET', '/acme/widget.git/info/refs?service=git-upload-pack')).status === 503)
      bound.throwIfAborted();
  }
  await gateway.close();
  assert.ok(!existsSync(socket));
});

test('close cuts what runs and removes the socket', async (t) => {
  const { socket, gateway } = await world(t);
  const idle = connect(socket);
  idle.on('error', () => {});
  idle.write('POST /acme/widget.git/git-upload-pack HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n0014');
  await once(idle, 'data'); // the head of the answer: upload-pack runs and waits for the rest
  await Promise.all([gateway.close(), once(idle, 'close')]);
  assert.ok(!existsSync(socket));
});
