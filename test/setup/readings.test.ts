import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { rootCertificates } from 'node:tls';
import { additional } from '../../src/setup/authorities.mjs';
import { enabledControllers, hasCgroups } from '../../src/setup/cgroups.mjs';
import { distribution } from '../../src/setup/distribution.mjs';
import { removeStalePid } from '../../src/setup/docker-engine.mjs';
import { firstDifference } from '../../src/setup/node-packages.mjs';
import { tagOf } from '../../src/setup/runner-image.mjs';
import { parseRunscVersion, runscAge } from '../../src/setup/runsc-version.mjs';

function temporaryFolder(t: { after: (release: () => void) => void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'coatcheck-setup-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test('the release date is read out of both forms of runsc version', () => {
  const own = parseRunscVersion('runsc version release-20250811.0\nspec: 1.1.0-rc.1\n');
  assert.deepEqual(own, { version: 'release-20250811.0', released: new Date('2025-08-11T00:00:00Z') });
  const debian = parseRunscVersion('runsc version 0.0~20240729.0\nspec: 1.0.2-dev\n');
  assert.equal(debian?.released.toISOString(), '2024-07-29T00:00:00.000Z');
  for (const text of ['', 'runsc version VERSION_MISSING', 'runc version 1.1.5', 'runsc version 20249999']) {
    assert.equal(parseRunscVersion(text), null, text);
  }
});

test('the age of runsc is in whole days; a missing one has none', async (t) => {
  const program = join(temporaryFolder(t), 'runsc');
  writeFileSync(program, '#!/bin/sh\necho "runsc version release-20260101.0"\n');
  chmodSync(program, 0o755);
  assert.equal((await runscAge({ program, now: new Date('2026-01-31T12:00:00Z') }))?.ageDays, 30);
  assert.equal(await runscAge({ program: '/nonexistent/runsc' }), null);
});

test('an installed tree differs where a package is missing, of another version or of other content', () => {
  const wanted = { packages: { '': {}, a: { version: '1.0.0', integrity: 'x' }, b: { version: '2.0.0', optional: true } } };
  assert.equal(firstDifference(wanted, { packages: { a: { version: '1.0.0', integrity: 'x' } } }), null);
  assert.equal(firstDifference(wanted, { packages: {} }), 'a');
  assert.equal(firstDifference(wanted, { packages: { a: { version: '1.0.1', integrity: 'x' } } }), 'a');
  assert.equal(firstDifference(wanted, { packages: { a: { version: '1.0.0', integrity: 'y' } } }), 'a');
  assert.equal(firstDifference(wanted, { packages: { a: { version: '1.0.0', integrity: 'x' }, b: { version: '1.0.0' } } }), 'b');
});

test('a usable control-group hierarchy is told from none', () => {
  assert.equal(hasCgroups('cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n'), true);
  assert.equal(
    hasCgroups('cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\ncgroup /sys/fs/cgroup/devices cgroup rw,devices 0 0\n'),
    true,
  );
  assert.equal(hasCgroups('cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n'), false);
  assert.equal(hasCgroups('proc /proc proc rw 0 0\n'), false);
  const table = '#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t2\t1\nmemory\t2\t3\t0\npids\t3\t3\t1\n';
  assert.deepEqual(enabledControllers(table), ['cpu', 'pids']);
});

test('distributions are known by id and version; the untested ones say so', (t) => {
  const file = join(temporaryFolder(t), 'os-release');
  const as = (id: string, version: string) => {
    writeFileSync(file, `NAME="Some"\nVERSION_ID="${version}"\nID=${id}\nID_LIKE=debian\n`);
    return distribution(file);
  };
  assert.equal(as('debian', '12')?.tested, true);
  assert.equal(as('debian', '12')?.backports?.suite, 'bookworm-backports');
  assert.equal(as('ubuntu', '22.04')?.tested, false);
  assert.equal(as('fedora', '42'), null);
  assert.equal(distribution('/nonexistent'), null);
});

test('a pid file is removed when its process is gone or another program, and kept when it is the daemon', (t) => {
  const file = join(temporaryFolder(t), 'docker.pid');
  const remains = (pid: string, program: string) => {
    writeFileSync(file, pid);
    removeStalePid(file, program);
    try {
      rmSync(file);
      return true;
    } catch {
      return false;
    }
  };
  assert.equal(remains('999999999', 'dockerd'), false);
  assert.equal(remains(String(process.pid), 'dockerd'), false);
  assert.equal(remains('nonsense', 'dockerd'), false);
  const name = readFileSync(`/proc/${process.pid}/comm`, 'utf8').trim();
  assert.equal(remains(String(process.pid), name), true);
});

test('public authorities are left out, others come once and in a stable order', () => {
  const [first = '', second = '', third = ''] = rootCertificates;
  assert.deepEqual(additional([first, second], rootCertificates), []);
  const found = additional([third, second, third], [first]);
  assert.equal(found.length, 2);
  assert.deepEqual(found, additional([second, third], [first]));
});

test('the image tag changes with every input', () => {
  const tags = [tagOf(['a', 'b'], []), tagOf(['a', 'c'], []), tagOf(['ab', ''], []), tagOf(['a', 'b'], ['pem'])];
  assert.equal(new Set(tags).size, tags.length);
  assert.equal(tagOf(['a', 'b'], []), tags[0]);
});
