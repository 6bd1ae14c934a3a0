import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { openDocker } from '../../src/sandbox/docker.ts';
import { isShimOf } from '../../src/sandbox/orphans.ts';
import { deployment, docker, IMAGE, MiB, never, realDriver, SMALL, SOCKET, sh, spec } from './real-sandbox.ts';

const driver = realDriver();
const HOG = 'python3 -c "l = []\nwhile True: l.append(bytearray(8 << 20))"';

async function create(t: TestContext, change: Parameters<typeof spec>[0] = {}) {
  const sandbox = await driver.create(spec(change), never);
  t.after(() => sandbox.close());
  return sandbox;
}

test('running out of memory ends the sandbox and its commands within bounds, as out_of_memory', {
  timeout: 40_000,
}, async (t) => {
  const sandbox = await create(t, { limits: { ...SMALL, memoryBytes: 400 * MiB, workBytes: 64 * MiB } });
  const hog = await sh(sandbox, HOG, { timeoutMs: 30_000 });
  assert.equal(hog.end, 'sandbox_died');
  assert.ok(hog.ms < 20_000, `${hog.ms} ms`);
  assert.equal(await sandbox.died, 'out_of_memory');
  assert.equal((await sh(sandbox, 'true')).end, 'sandbox_died');
});

test('a sandbox that is killed from outside ends its command as sandbox_died, not as exit code 137', {
  timeout: 20_000,
}, async (t) => {
  const sandbox = await create(t);
  const kill = () => void docker.getContainer(sandbox.id).kill();
  const result = await sh(sandbox, 'echo up; sleep 100', { onOutput: kill });
  assert.deepEqual([result.end, result.exitCode, result.output], ['sandbox_died', null, 'up\n']);
  assert.equal(await sandbox.died, 'killed');
});

test('a sandbox that somebody removed is a death, and closing it is no error', { timeout: 20_000 }, async (t) => {
  const sandbox = await create(t);
  await docker.getContainer(sandbox.id).remove({ force: true });
  assert.equal(await sandbox.died, 'killed');
  await sandbox.close();
});

test('a sandbox whose end the engine does not get to hear of is closed all the same', { timeout: 40_000 }, async (t) => {
  const sandbox = await create(t);
  const pid = readdirSync('/proc').find((name) => isShimOf(commandLine(name), sandbox.id));
  assert.ok(pid !== undefined);
  // Standing still, the engine's process beside it is as deaf as one that missed the event.
  process.kill(Number(pid), 'SIGSTOP');
  await sandbox.close();
  assert.equal(await sandbox.died, 'closed');
  await assert.rejects(docker.getContainer(sandbox.id).inspect(), { statusCode: 404 });
  assert.ok(!readdirSync('/proc').some((name) => commandLine(name).includes(sandbox.id)));
});

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

test('closing ends the command, leaves nothing, and can be repeated', { timeout: 20_000 }, async (t) => {
  const sandbox = await create(t);
  const { promise: started, resolve: onOutput } = Promise.withResolvers<Buffer>();
  const running = sh(sandbox, 'echo up; sleep 100', { onOutput });
  await started;
  await Promise.all([sandbox.close(), sandbox.close()]);
  await sandbox.close();
  assert.equal((await running).end, 'sandbox_died');
  assert.equal(await sandbox.died, 'closed');
  await assert.rejects(docker.getContainer(sandbox.id).inspect(), { statusCode: 404 });
});

const ours = async (label: string) => (await docker.listContainers({ all: true, filters: { label: [label] } })).length;

test('what cannot be had is refused with what to do, and leaves nothing behind', { timeout: 20_000 }, async () => {
  const labels = { task: randomUUID(), attempt: '1', purpose: 'work' };
  const missing = driver.create(spec({ image: 'coatcheck-runner:none', labels }), never);
  await assert.rejects(missing, { code: 'sandbox_unavailable', next: /npm run setup/ });
  const more = driver.create(spec({ runtime: 'runc', capabilities: ['own_kernel'], labels }), never);
  await assert.rejects(more, { code: 'sandbox_unavailable', message: /own_kernel/ });
  // A spec that the engine refuses only at the start, after the container is there.
  await assert.rejects(driver.create(spec({ doorDirectory: '/proc/1/none', labels }), never));
  assert.equal(await ours(`coatcheck.task=${labels.task}`), 0);
});

test('an image that would bring volumes along is refused: they have no size', { timeout: 20_000 }, async (t) => {
  const container = await docker.createContainer({ Image: IMAGE, Labels: { 'coatcheck.test': 'volumes' } });
  t.after(() => container.remove({ v: true }));
  const image = `coatcheck-e2e:${randomUUID()}`;
  const [repo, tag] = image.split(':');
  await container.commit({ repo, tag, changes: 'VOLUME /data' });
  t.after(() => docker.getImage(image).remove());
  await assert.rejects(driver.create(spec({ image }), never), { code: 'sandbox_unavailable', message: /\/data/ });
});

test('a caller who gives up while the sandbox is made gets it cleared away', { timeout: 20_000 }, async (t) => {
  const labels = { task: randomUUID(), attempt: '1', purpose: 'work' };
  const caller = new AbortController();
  const events = await docker.getEvents({ filters: { label: [`coatcheck.task=${labels.task}`], event: ['create'] } });
  assert.ok(events instanceof Readable);
  t.after(() => events.destroy());
  events.once('data', () => caller.abort(new Error('gave up')));
  await assert.rejects(driver.create(spec({ labels }), caller.signal), /gave up/);
  assert.equal(await ours(`coatcheck.task=${labels.task}`), 0);
});

/** The engine's socket behind a hand that can hold everything back. */
async function holdable(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'coatcheck-engine-'));
  const sockets = new Set<Socket>();
  let held = false;
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const engine = connect({ path: SOCKET, allowHalfOpen: true });
    for (const [from, to] of [
      [client, engine],
      [engine, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
      from.on('end', () => to.end());
      from.on('data', (chunk) => void to.write(chunk));
      if (held) from.pause();
    }
  });
  server.listen(join(directory, 'engine.sock'));
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return {
    path: join(directory, 'engine.sock'),
    hold(now: boolean) {
      held = now;
      for (const socket of sockets) now ? socket.pause() : socket.resume();
    },
  };
}

test('a guest that hangs is killed with its command, although the engine waits for it', { timeout: 60_000 }, async (t) => {
  const sandbox = await create(t);
  const { State } = await docker.getContainer(sandbox.id).inspect();
  const freeze = () => void process.kill(State.Pid, 'SIGSTOP');
  const result = await sh(sandbox, 'echo up; sleep 100', { timeoutMs: 200, onOutput: freeze });
  assert.equal(result.end, 'timed_out');
  assert.equal(await sandbox.died, 'killed');
  await sandbox.close();
});

test('an engine that hangs ends commands in an error within bounds; when it is back, so are we', {
  timeout: 40_000,
}, async (t) => {
  const engine = await holdable(t);
  const behind = openDocker({ socketPath: engine.path, owner: { deployment, host: 'e2e' }, callMs: 1500 });
  const sandbox = await behind.create(spec(), never);
  const stuck = sh(sandbox, 'echo up; sleep 100', { timeoutMs: 500, onOutput: () => engine.hold(true) });
  await assert.rejects(stuck, { code: 'engine_unreachable' });
  await assert.rejects(sh(sandbox, 'true'), { code: 'engine_unreachable' });
  await assert.rejects(behind.create(spec(), never), { code: 'engine_unreachable' });
  await assert.rejects(sandbox.close(), { code: 'engine_unreachable' });
  engine.hold(false);
  assert.equal(await sandbox.died, 'killed', 'what cannot be controlled any more is not left running');
  await sandbox.close();
  const next = await behind.create(spec(), never);
  assert.equal((await sh(next, 'echo back')).output, 'back\n');
  await behind.close();
  await assert.rejects(docker.getContainer(next.id).inspect(), { statusCode: 404 });
});

test('a runtime that would have a network, or no way to the door, is none', { timeout: 20_000 }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'coatcheck-engine-'));
  const coatcheck = { path: '/usr/bin/runsc', runtimeArgs: ['--host-uds=open'] };
  const info = JSON.stringify({ ServerVersion: '1', Runtimes: { coatcheck, runc: { path: 'runc' } } });
  const server = createHttpServer((_, response) => response.setHeader('content-type', 'application/json').end(info));
  server.listen(join(directory, 'engine.sock'));
  await once(server, 'listening');
  const other = openDocker({ socketPath: join(directory, 'engine.sock'), owner: { deployment, host: 'e2e' } });
  t.after(async () => {
    await other.close();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  assert.deepEqual(
    (await other.facts()).runtimes.map(({ name }) => name),
    ['runc'],
  );
  await assert.rejects(other.create(spec(), never), { code: 'sandbox_unavailable', message: /--network=none/ });
});
