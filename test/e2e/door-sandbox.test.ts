import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { rig, rule, sink, temporary, within } from './door-rig.ts';

const run = promisify(execFile);
const IMAGE = 'coatcheck-runner:latest';
const missing: string | false = await run('docker', ['image', 'inspect', '--format', '{{.Id}}', IMAGE]).then(
  () => false as const,
  () => `the image ${IMAGE} or Docker is not there; npm run setup makes them`,
);
if (missing !== false && process.env['CI'] === 'true') throw new Error(missing);

test('from inside gVisor the door is the way out, and the only one', { skip: missing }, async (t) => {
  const up = await sink(t);
  const directory = temporary(t);
  const { door, row } = await rig(t, {
    directory,
    rules: [rule('up.test', up.port, { methods: ['POST'] })],
    hosts: { 'up.test': '127.0.0.1' },
  });
  const isolation = [
    '--network',
    'none',
    '--read-only',
    '--cap-drop',
    'ALL',
    '--security-opt',
    'no-new-privileges',
    '--tmpfs',
    '/tmp',
    '--tmpfs',
    '/run',
  ];
  const { stdout } = await run('docker', [
    'run',
    '-d',
    '--runtime',
    'coatcheck',
    ...isolation,
    '--label',
    'coatcheck.test=door',
    '-w',
    '/',
    '-v',
    `${directory}:/run/coatcheck:ro`,
    IMAGE,
  ]);
  const container = stdout.trim();
  t.after(async () => void (await run('docker', ['rm', '-f', container])));
  const write = spawn('docker', ['exec', '-i', '-u', '1000', container, 'sh', '-c', 'cat > /tmp/ca.pem'], {
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  write.stdin.end(door.authority);
  await within('the authority inside', once(write, 'exit'));
  const curl = async (...words: string[]): Promise<string> => {
    const command = [
      'exec',
      '-u',
      '1000',
      container,
      'curl',
      '-sS',
      '-m',
      '20',
      '--cacert',
      '/tmp/ca.pem',
      '-w',
      ' %{http_code} %{http_connect}',
      ...words,
    ];
    return run('docker', command).then(
      (done) => done.stdout,
      (failed: { stdout: string }) => failed.stdout,
    );
  };
  await door.set({ phase: 'setup' });
  const target = `https://up.test:${up.port}/x`;
  assert.equal(await curl('-d', 'hello', target), 'outside 200 200');
  assert.equal(up.requests[0]?.body, 'hello');
  assert.match(await curl('-X', 'DELETE', target), /refused DELETE up\.test[\s\S]* 403 200$/);
  assert.match(await curl('https://other.test/'), / 000 403$/);
  assert.equal((await row(3)).host, 'other.test');
  const direct = await curl('--noproxy', '*', '--connect-to', `up.test:${up.port}:127.0.0.1:${up.port}`, '-d', 'hello', target);
  assert.match(direct, / 000 000$/, 'past the door there is nothing');
  assert.equal(up.requests.length, 1);
  await door.close();
  assert.match(await curl('-d', 'hello', target), / 000 000$/, 'without its door a sandbox has no way out');
});
