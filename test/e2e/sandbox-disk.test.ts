import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { SandboxLimits } from '../../src/policy/limits.ts';
import { openDocker } from '../../src/sandbox/docker.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { deployment, docker, MiB, never, realDriver, SMALL, SOCKET, sh, spec, swept } from './real-sandbox.ts';

const disks = mkdtempSync(join(tmpdir(), 'coatcheck-disks-'));
after(() => rmSync(disks, { recursive: true, force: true }));

/** Much more disk than memory, so that no cache can stand in for it. */
const ON_DISK = SandboxLimits.parse({ ...SMALL, memoryBytes: 288 * MiB, workIn: 'disk', workBytes: 480 * MiB });
const TINY = { ...ON_DISK, workBytes: 32 * MiB };

/** Mounts and loop devices of the host that have to do with our directory. */
function left(): string[] {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.includes(disks));
  const loops = readdirSync('/sys/block').flatMap((name) => {
    const file = `/sys/block/${name}/loop/backing_file`;
    return existsSync(file) && readFileSync(file, 'utf8').includes(disks) ? [name] : [];
  });
  return [...mounts, ...loops, ...readdirSync(disks)];
}

const free = () => {
  const { bavail, bsize } = statfsSync(disks);
  return (bavail * bsize) / MiB;
};

describe('a work tree on disk', () => {
  const driver = realDriver({ disks });
  let sandbox: Sandbox;
  let freeBefore = 0;
  before(async () => {
    freeBefore = free();
    sandbox = await driver.create(spec({ limits: ON_DISK, capabilities: ['enforced_disk', 'enforced_memory'] }), never);
  });
  const says = async (script: string) => (await sh(sandbox, script, { timeoutMs: 60_000 })).output.trim();

  test('is a file system of its own, with the size that was asked for, reserved on the host at once', async () => {
    assert.ok(sandbox.facts.capabilities.includes('enforced_disk'));
    const [total = 0, inodes = 0] = (await says('stat -f -c "%b %c" /work')).split(' ').map(Number);
    assert.ok(total * 4096 <= ON_DISK.workBytes && total * 4096 > ON_DISK.workBytes * 0.9, `${total} blocks`);
    assert.ok(inodes > 50_000 && inodes < 70_000, `${inodes} inodes`);
    assert.ok(freeBefore - free() > 400, `${freeBefore - free()} MiB taken`);
    const { Mounts } = await docker.getContainer(sandbox.id).inspect();
    assert.deepEqual(
      Mounts.map(({ Type, Source, Destination, RW }) => ({ Type, Source, Destination, RW })),
      [{ Type: 'bind', Source: sandbox.workDisk, Destination: '/work', RW: true }],
    );
    const [mount = ''] = left();
    assert.match(mount, / ext4 rw,nosuid,nodev,/);
  });

  test('serves a repository: the agent’s own, with links, programs, sockets; no device and no other user’s file', async () => {
    assert.equal(await says('git init -q . && git status --short && stat -c %U:%a /work /work/repo'), 'agent:755\nagent:755');
    const probe = 'ln -s /etc/hostname l && cat l >/dev/null && cp /bin/true t && chmod u+s t && ./t && mkfifo f && echo ok';
    assert.equal(await says(probe), 'ok');
    const socket = 'import socket; s=socket.socket(1); s.bind("s"); s.listen(); c=socket.socket(1); c.connect("s"); print("met")';
    assert.equal(await says(`python3 -c '${socket}'`), 'met');
    assert.notEqual((await sh(sandbox, 'mknod n c 1 3')).exitCode, 0);
  });

  test('that is full is an error inside, beyond memory, and neighbours, memory and host know nothing of it', async (t) => {
    const neighbour = await driver.create(spec({ limits: TINY }), never);
    t.after(() => neighbour.close());
    const reserved = free();
    const filled = await sh(sandbox, 'head -c 1G /dev/zero > fill; stat -c %s fill', { timeoutMs: 60_000 });
    assert.match(filled.output, /No space left on device/);
    assert.ok(Number(filled.output.trim().split('\n').at(-1)) > 1.4 * ON_DISK.memoryBytes, 'more than fits into memory');
    assert.ok(Math.abs(reserved - free()) < 100, 'give or take what others do');
    assert.equal((await sh(neighbour, 'head -c 20M /dev/zero > x && echo fine')).output, 'fine\n');
    assert.equal(await says('rm fill && echo alive > x && cat x'), 'alive');
  });

  test('is used up by files without content too', async (t) => {
    const tiny = await driver.create(spec({ limits: TINY }), never);
    t.after(() => tiny.close());
    const many = 'import os\ni = 0\ntry:\n  while True: os.mknod(f"m/{i}"); i += 1\nexcept OSError as e: print(e.strerror)';
    assert.equal((await sh(tiny, `mkdir m && python3 -c '${many}'`)).output.trim(), 'No space left on device');
    assert.equal((await sh(tiny, 'rm -r m && touch y && echo alive')).output.trim(), 'alive');
  });

  test('goes with its sandbox: no mount, no loop device, no file, and the host has its space back', async () => {
    assert.equal(left().length, 3, 'the control: mount, loop device, directory');
    await sandbox.close();
    assert.deepEqual(left(), []);
    assert.ok(freeBefore - free() < 100);
  });
});

test('work disks of a killed process are swept with its sandboxes, those of living ones stay', { timeout: 40_000 }, async (t) => {
  const driver = realDriver({ disks });
  const own = await driver.create(spec({ limits: TINY }), never);
  t.after(() => own.close());
  const child = spawn(process.execPath, [join(import.meta.dirname, 'sandbox-owner.ts'), deployment, 'crashed', disks], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [id] = await once(createInterface({ input: child.stdout }), 'line');
  assert.equal(left().length, 6);
  assert.deepEqual(await swept(driver), []);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const removed = await swept(driver);
  assert.equal(removed.length, 2);
  assert.equal(removed[0], id);
  assert.equal(left().length, 3);
  assert.equal((await sh(own, 'touch x && echo alive')).output, 'alive\n');
});

test('where no work disk can be made, it is said before anything is started', { timeout: 20_000 }, async (t) => {
  const without = openDocker({ socketPath: SOCKET, owner: { deployment, host: 'e2e' } });
  t.after(() => without.close());
  assert.match((await without.diskProblem()) ?? '', /no directory/);
  const wanted = spec({ limits: ON_DISK, capabilities: ['enforced_disk'] });
  await assert.rejects(without.create(wanted, never), { code: 'sandbox_unavailable', message: /enforced_disk/ });
  await assert.rejects(without.create({ ...wanted, capabilities: [] }, never), { code: 'sandbox_unavailable', next: /work_in/ });
  const driver = realDriver({ disks });
  assert.equal(await driver.diskProblem(), null);
  const tooMuch = { ...ON_DISK, workBytes: 2 ** 50 };
  await assert.rejects(driver.create(spec({ limits: tooMuch }), never), { code: 'sandbox_unavailable', message: /bytes free/ });
  assert.deepEqual(left(), []);
});
