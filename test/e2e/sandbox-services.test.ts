import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { agentProcesses, docker, MiB, never, realDriver, sh, spec } from './real-sandbox.ts';

/** A door that only joins connections, by the name that is asked for; what is tried here is the relay. */
function trialDoor(services: ReadonlyMap<string, string>): HttpServer {
  return createHttpServer().on('connect', async (request, client: Socket, head) => {
    const path = services.get(request.url ?? '');
    client.on('error', () => {});
    if (path === undefined) return void client.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 18\r\n\r\nno rule allows it\n');
    const upstream = connect({ path, allowHalfOpen: true });
    upstream.on('error', () => client.destroy());
    client.on('close', () => upstream.destroy());
    // What this one says at once travels with the answer.
    const [first = ''] = path.endsWith('mail.test:25') ? await once(upstream, 'data') : [];
    client.write(`HTTP/1.1 200 OK\r\n\r\n${first}`);
    upstream.write(head);
    upstream.pipe(client).pipe(upstream);
  });
}

describe('services', () => {
  const driver = realDriver();
  const directory = mkdtempSync(join(tmpdir(), 'coatcheck-services-'));
  const doorDirectory = mkdtempSync(join(tmpdir(), 'coatcheck-door-'));
  chmodSync(doorDirectory, 0o755);
  const at = (name: string) => join(directory, name);
  const bulk = randomBytes(24 * MiB);
  let written = 0;
  const left: Promise<unknown>[] = [];

  /** Speaks first, as mail and MySQL servers do, and once more when it was told that nothing more comes. */
  const greeter = createServer({ allowHalfOpen: true }, (client) => {
    client.write('220 ready\r\n');
    let bytes = 0;
    client.on('data', (chunk) => {
      bytes += chunk.length;
    });
    client.on('end', () => client.end(`${bytes} bytes, bye\r\n`));
  });
  const download = createServer((client) => client.end(bulk));
  /** Writes as long as somebody takes it. */
  const endless = createServer((client) => {
    const more = () => {
      while (client.write(bulk.subarray(0, MiB)));
    };
    client.on('drain', more).on('error', () => {});
    const { promise, resolve } = Promise.withResolvers<void>();
    left.push(promise);
    client.once('close', () => {
      written = client.bytesWritten;
      resolve();
    });
    more();
  });
  const door = trialDoor(
    new Map(['mail.test:25', 'bulk.test:9', 'endless.test:19', 'redis.test:6379'].map((name) => [name, at(name)])),
  );
  const redis = spawn('redis-server', ['--port', '0', '--unixsocket', at('redis.test:6379'), '--save', '', '--dir', directory], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const servers: (Server | HttpServer)[] = [greeter, download, endless, door];
  let sandbox: Sandbox;

  before(async () => {
    greeter.listen(at('mail.test:25'));
    download.listen(at('bulk.test:9'));
    endless.listen(at('endless.test:19'));
    door.listen(join(doorDirectory, 'door.sock'));
    await Promise.all(servers.map((server) => once(server, 'listening')));
    chmodSync(join(doorDirectory, 'door.sock'), 0o666);
    for await (const line of createInterface({ input: redis.stdout })) if (/ready to accept/i.test(line)) break;
    const services = [
      { listen: 2525, host: 'mail.test', port: 25 },
      { listen: 9009, host: 'bulk.test', port: 9 },
      { listen: 9019, host: 'endless.test', port: 19 },
      { listen: 6379, host: 'redis.test', port: 6379 },
      { listen: 5432, host: 'refused.test', port: 5432 },
    ];
    sandbox = await driver.create(spec({ doorDirectory, services }), never);
  });
  after(async () => {
    redis.kill('SIGKILL');
    await sandbox.close();
    for (const server of servers) server.close();
    door.closeAllConnections();
    rmSync(directory, { recursive: true, force: true });
    rmSync(doorDirectory, { recursive: true, force: true });
  });

  /** Python inside, with a connection `s` to a port. */
  const python = (port: number, script: string) =>
    sh(
      sandbox,
      `exec python3 -c '
import socket, sys, time, hashlib
s = socket.create_connection(("127.0.0.1", ${port}), 10)
${script}'`,
    );

  test('a real Redis is found under its port, from several connections at once', async () => {
    const script = `
t = [socket.create_connection(("127.0.0.1", 6379), 10) for _ in range(20)]
for n, c in enumerate(t): c.sendall(b"INCR hits\\r\\n")
print(sorted(int(c.recv(100)[1:-2]) for c in t)[-1])
s.sendall(b"*3\\r\\n$3\\r\\nSET\\r\\n$1\\r\\nk\\r\\n$5\\r\\nhello\\r\\n*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\nk\\r\\n")
while not (b := globals().get("b", b"") + s.recv(100)).endswith(b"hello\\r\\n"): pass
print(b)`;
    assert.equal((await python(6379, script)).output, "20\nb'+OK\\r\\n$5\\r\\nhello\\r\\n'\n");
  });

  test('a service that speaks first is heard, and one side may end before the other', async () => {
    const script = `
print(s.recv(100).decode().strip())
s.sendall(b"x" * 300000); s.shutdown(socket.SHUT_WR)
b = b""
while True:
  c = s.recv(100)
  if c == b"": break
  b += c
print(b.decode().strip())`;
    assert.equal((await python(2525, script)).output, '220 ready\n300000 bytes, bye\n');
  });

  test('large answers arrive whole', async () => {
    const script =
      'h = hashlib.sha256()\nwhile True:\n  c = s.recv(65536)\n  if c == b"": break\n  h.update(c)\nprint(h.hexdigest())';
    const expected = createHash('sha256').update(bulk).digest('hex');
    assert.equal((await python(9009, script)).output.trim(), expected);
  });

  test('who does not read holds the service up, and who leaves ends it', async () => {
    assert.equal((await python(9019, 'print(len(s.recv(1000))); time.sleep(1)')).output, '1000\n');
    await Promise.all(left);
    assert.equal(left.length, 1);
    assert.ok(written > MiB && written < 16 * MiB, `${written} bytes were taken in a second`);
  });

  test('what the door refuses is closed at once, without a word', async () => {
    const refused = await python(5432, 'began = time.time()\nprint(s.recv(10), time.time() - began < 2)');
    assert.equal(refused.output, "b'' True\n");
    const control = await sh(sandbox, 'exec 3<>/dev/tcp/127.0.0.1/4444');
    assert.match(control.output, /refused/, 'the control: a port that is no service');
    assert.equal((await sh(sandbox, 'env | grep -c "redis.test\\|mail.test"')).output, '0\n');
  });

  test('the relay is out of the agent’s reach and outlives its commands', async () => {
    await sh(sandbox, 'kill -9 -1; pkill -9 node; sleep 100', { timeoutMs: 500 });
    assert.deepEqual(await agentProcesses(sandbox), []);
    assert.equal((await python(6379, 's.sendall(b"PING\\r\\n"); print(s.recv(10))')).output, "b'+PONG\\r\\n'\n");
  });
});

test('services that cannot be given are refused, and nothing is left', async (t) => {
  const driver = realDriver();
  const doorDirectory = mkdtempSync(join(tmpdir(), 'coatcheck-door-'));
  t.after(() => rmSync(doorDirectory, { recursive: true, force: true }));
  const labels = { task: `services-${process.pid}`, attempt: '1', purpose: 'work' };
  const on = (listen: number) => ({ listen, host: 'a.test', port: 1 });
  const twice = driver.create(spec({ doorDirectory, labels, services: [on(4000), on(4000)] }), never);
  await assert.rejects(twice, { code: 'sandbox_services', message: /4000/ });
  await assert.rejects(driver.create(spec({ labels, services: [on(4000)] }), never), { code: 'sandbox_services' });
  const filters = { label: [`coatcheck.task=${labels.task}`] };
  assert.deepEqual(await docker.listContainers({ all: true, filters }), []);
});
