import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { described } from './described.ts';
import { docker, MiB, never, realDriver, SMALL, sh, spec } from './real-sandbox.ts';

describe('what a sandbox is confined to', () => {
  const driver = realDriver();
  const doorDirectory = mkdtempSync(join(tmpdir(), 'coatcheck-door-'));
  chmodSync(doorDirectory, 0o755);
  after(() => rmSync(doorDirectory, { recursive: true, force: true }));
  let sandbox: Sandbox;
  before(async () => {
    sandbox = await driver.create(spec({ doorDirectory }), never);
  });
  const says = async (script: string) => (await sh(sandbox, script)).output.trim();

  test('the host offers gVisor, and the sandbox really is one', async () => {
    const facts = await driver.facts();
    assert.ok(facts.runtimes.some(({ name, version }) => name === 'runsc' && version === sandbox.facts.runtimeVersion));
    assert.match(sandbox.facts.kernel, /Starting gVisor/);
    assert.match(await says('dmesg | head -1'), /Starting gVisor/);
    assert.match(sandbox.facts.imageDigest, /^sha256:[0-9a-f]{64}$/);
  });

  test('what the engine applied is exactly this, and nothing besides', async () => {
    const inspect = await docker.getContainer(sandbox.id).inspect();
    assert.equal(inspect.Config.Image, sandbox.facts.imageDigest, 'started by id, not by a tag that may move');
    const golden: unknown = JSON.parse(readFileSync(join(import.meta.dirname, 'sandbox-inspect.golden.json'), 'utf8'));
    assert.deepEqual(described(inspect, { [doorDirectory]: 'DOOR' }), golden);
    // Docker 20.10 calls the networks of a container by name: the one without an interface, and no address in it.
    const { Networks } = inspect.NetworkSettings;
    assert.deepEqual(Object.keys(Networks), ['none']);
    assert.equal(Networks['none']?.IPAddress, '');
  });

  test('there is no interface but loopback', async () => {
    assert.equal(await says('ls /sys/class/net 2>/dev/null; tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d " "'), 'lo');
  });

  test('the agent is nobody: no capability, no other group, no way to become another user, own limits', async () => {
    assert.match(await says('id'), /^uid=1000\(agent\) gid=1000\(agent\) groups=1000\(agent\)$/);
    assert.equal(await says('grep -c "^Cap.*0000000000000000$" /proc/self/status; grep ^Cap /proc/self/status | wc -l'), '4\n4');
    assert.notEqual((await sh(sandbox, 'kill -0 1')).exitCode, 0);
    assert.equal(await says('ulimit -n; ulimit -u'), `${SMALL.openFiles}\n${SMALL.processes}`);
    assert.match(await says('su -c id root </dev/null; setpriv --reuid 990 id; :'), /^((?!uid=).)*$/s);
  });

  test('the root is read-only, and /work, /tmp and nothing else can be written', async () => {
    const probe =
      'for d in / /etc /usr /var /home/agent /run /run/coatcheck /work /work/repo /tmp; do touch $d/probe 2>/dev/null && echo $d; done';
    assert.equal(await says(probe), '/work\n/work/repo\n/tmp');
    assert.equal(
      await says('cp /bin/true /work/x && /work/x && cp /bin/true /tmp/x && /tmp/x && echo runs; rm /work/x /tmp/x'),
      'runs',
    );
  });

  test('there is no socket of the host, Docker or otherwise', async () => {
    assert.equal(
      await says(
        'find / -xdev -type s 2>/dev/null; find /run /tmp /work /var -type s 2>/dev/null; ls /var/run/docker.sock 2>&1 | grep -c "No such"',
      ),
      '1',
    );
    assert.equal(await says('tail -n +2 /proc/net/unix | grep -v haproxy | wc -l'), '0');
  });

  test('the door appears when its socket does, to relay and agent, and nothing else can be put beside it', async (t) => {
    assert.notEqual((await sh(sandbox, 'curl -sS --max-time 5 http://127.0.0.1:3128/')).exitCode, 0);
    const door = createServer((client) => client.end('HTTP/1.0 200 OK\r\n\r\nthe door')).listen(join(doorDirectory, 'door.sock'));
    t.after(() => door.close());
    await once(door, 'listening');
    chmodSync(join(doorDirectory, 'door.sock'), 0o666);
    assert.equal(await says('curl -sS --max-time 10 http://anything.invalid/'), 'the door');
    assert.notEqual((await sh(sandbox, 'touch /run/coatcheck/x')).exitCode, 0);
  });

  test('a full disk is an error inside; the sandbox lives and the host has lost nothing', async () => {
    const free = () => {
      const { bavail, bsize } = statfsSync('/var/lib/docker');
      return bavail * bsize;
    };
    const before = free();
    const filled = await sh(
      sandbox,
      'head -c 1G /dev/zero > /work/fill; head -c 1G /dev/zero > /tmp/fill; stat -c %s /work/fill /tmp/fill',
    );
    assert.match(filled.output, /No space left on device[\s\S]*No space left on device/);
    assert.ok(before - free() < 100 * MiB, 'the host keeps its space, give or take what others do');
    assert.equal(await says('rm /work/fill /tmp/fill; echo alive'), 'alive');
  });

  test('another sandbox sees nothing of this one', async (t) => {
    const canary = 'canary-5f1c';
    await sh(sandbox, `echo ${canary} | tee /work/repo/canary /tmp/canary /dev/shm/canary`);
    const look = `grep -rls ${canary} /work /tmp /dev/shm /run 2>/dev/null | wc -l`;
    assert.equal(await says(look), '3');
    const other = await driver.create(spec(), never);
    t.after(() => other.close());
    assert.equal((await sh(other, look)).output.trim(), '0');
    assert.equal(
      (
        await sh(other, 'env | grep -ic "^https*_proxy" ; curl -sS --max-time 5 http://anything.invalid/ 2>&1 | head -c 8')
      ).output.trim(),
      '0\ncurl: (6',
    );
  });

  test('an authority that is given is trusted from then on, and out of reach of the agent', async () => {
    const authority = '-----BEGIN CERTIFICATE-----\nZm9v\n-----END CERTIFICATE-----';
    assert.equal(await says('echo $SSL_CERT_FILE'), '');
    await sandbox.trust(authority);
    assert.equal(await says('tail -n 2 "$SSL_CERT_FILE" | head -n 1; tail -n 2 "$npm_config_cafile" | head -n 1'), 'Zm9v\nZm9v');
    assert.ok(Number(await says('grep -c BEGIN $GIT_SSL_CAINFO')) > 50, "beside the system's own");
    assert.notEqual(
      (await sh(sandbox, 'echo x >> $SSL_CERT_FILE || mv /run/trust /run/elsewhere || rm -rf /run/trust')).exitCode,
      0,
    );
  });
});

test('runc is used where it is named, with the same confinement', async (t) => {
  const driver = realDriver();
  const sandbox = await driver.create(spec({ runtime: 'runc' }), never);
  t.after(() => sandbox.close());
  assert.equal(sandbox.facts.runtime, 'runc');
  assert.deepEqual(sandbox.facts.capabilities, ['no_network', 'enforced_memory', 'enforced_disk']);
  assert.doesNotMatch(sandbox.facts.kernel, /gVisor/);
  const { output } = await sh(sandbox, 'ls /sys/class/net; touch /x 2>&1; grep NoNewPrivs /proc/self/status');
  assert.equal(output, "lo\ntouch: cannot touch '/x': Read-only file system\nNoNewPrivs:\t1\n");
});
