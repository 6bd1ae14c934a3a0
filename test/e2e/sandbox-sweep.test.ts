import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { hostnameOf } from '../../src/sandbox/owner.ts';
import { deployment, docker, never, realDriver, sh, spec, swept } from './real-sandbox.ts';

const run = promisify(execFile);
const driver = realDriver();

/** Another host's process with one sandbox. */
async function otherHost(t: TestContext, host: string, theirs = deployment) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'sandbox-owner.ts'), theirs, host], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [id] = await once(createInterface({ input: child.stdout }), 'line');
  t.after(async () => {
    child.kill('SIGKILL');
    await docker
      .getContainer(String(id))
      .remove({ force: true })
      .catch(() => {});
  });
  return { id: String(id), child };
}

test('a sweep removes what dead owners left, and nothing of living ones', { timeout: 40_000 }, async (t) => {
  const own = await driver.create(spec(), never);
  const [crashed, living, foreign] = await Promise.all([
    otherHost(t, 'crashed'),
    otherHost(t, 'living'),
    otherHost(t, 'crashed', `${deployment}-other`),
  ]);
  assert.deepEqual(await swept(driver), []);
  for (const { child } of [crashed, foreign]) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  assert.deepEqual(await swept(driver), [crashed.id]);
  await assert.rejects(docker.getContainer(crashed.id).inspect(), { statusCode: 404 });
  for (const { id } of [living, foreign]) assert.equal((await docker.getContainer(id).inspect()).State.Running, true);
  assert.equal((await sh(own, 'echo alive')).output, 'alive\n');
  assert.deepEqual(await swept(driver), []);
});

/** A gVisor sandbox that no engine knows, as a restart of dockerd can leave one. */
async function orphan(t: TestContext, id: string, hostname: string): Promise<{ isThere: () => boolean }> {
  const directory = mkdtempSync(join(tmpdir(), 'coatcheck-orphan-'));
  const [root, bundle] = [join(directory, 'root'), join(directory, 'bundle')];
  mkdirSync(join(bundle, 'rootfs'), { recursive: true });
  // The host's own programs will do: nothing inside is looked at.
  const mounts = ['/usr', '/bin', '/lib', '/lib64'].map((path) => ({
    destination: path,
    type: 'bind',
    source: path,
    options: ['ro', 'rbind'],
  }));
  const config = {
    ociVersion: '1.0.2',
    hostname,
    process: { user: { uid: 0, gid: 0 }, args: ['/bin/sleep', '300'], env: ['PATH=/usr/bin:/bin'], cwd: '/' },
    root: { path: 'rootfs' },
    mounts,
    linux: { namespaces: [{ type: 'pid' }, { type: 'mount' }, { type: 'uts' }, { type: 'ipc' }, { type: 'network' }] },
  };
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
  const flags = ['--root', root, '--network=none', '--ignore-cgroups'];
  const child = spawn('runsc', [...flags, 'run', '--detach', '--bundle', bundle, '--pid-file', join(directory, 'pid'), id], {
    stdio: 'ignore',
  });
  const [code] = await once(child, 'exit');
  t.after(async () => {
    await run('runsc', [...flags, 'delete', '--force', id]).catch(() => {});
    rmSync(directory, { recursive: true, force: true });
  });
  assert.equal(code, 0, 'runsc starts a sandbox of its own');
  const pid = readFileSync(join(directory, 'pid'), 'utf8').trim();
  const isThere = () => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(id);
    } catch {
      return false;
    }
  };
  assert.ok(isThere());
  return { isThere };
}

test('a sweep looks below the engine, for sandboxes that it lost sight of', { timeout: 40_000 }, async (t) => {
  const lost = await orphan(t, `lost-${process.pid}`, hostnameOf(deployment));
  const foreign = await orphan(t, `foreign-${process.pid}`, hostnameOf('another deployment'));
  assert.deepEqual(await swept(driver), [`lost-${process.pid}`]);
  assert.equal(lost.isThere(), false);
  assert.equal(foreign.isThere(), true);
});
