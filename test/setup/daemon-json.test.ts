import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { removeRuntime, replaceFile, withoutRuntime, withRuntime } from '../../src/setup/daemon-json.mjs';

const OURS = { path: '/usr/bin/runsc', runtimeArgs: ['--network=none', '--host-uds=open'] };

test('the runtime is added and everything else stays', () => {
  const before = { 'log-driver': 'journald', runtimes: { kata: { path: '/opt/kata' } } };
  const after = JSON.parse(withRuntime(JSON.stringify(before), '/usr/bin/runsc', 'daemon.json'));
  assert.deepEqual(after, { 'log-driver': 'journald', runtimes: { kata: { path: '/opt/kata' }, coatcheck: OURS } });
  assert.deepEqual(JSON.parse(withRuntime('', '/usr/bin/runsc', 'daemon.json')), { runtimes: { coatcheck: OURS } });
});

test('adding twice is adding once', () => {
  const once = withRuntime('{"debug": true}', '/usr/bin/runsc', 'daemon.json');
  assert.equal(withRuntime(once, '/usr/bin/runsc', 'daemon.json'), once);
});

test('taking it out gives back what was there', () => {
  const before = { debug: true, runtimes: { kata: { path: '/opt/kata' } } };
  const added = withRuntime(JSON.stringify(before), '/usr/bin/runsc', 'daemon.json');
  assert.deepEqual(JSON.parse(withoutRuntime(added, 'daemon.json') ?? ''), before);
  assert.equal(withoutRuntime(withRuntime('', '/usr/bin/runsc', 'daemon.json'), 'daemon.json'), null);
});

test('a file that is no JSON object is left alone and named', () => {
  for (const text of ['{"debug": tru', '[]', 'null', '# comment']) {
    assert.throws(
      () => withRuntime(text, '/usr/bin/runsc', '/etc/docker/daemon.json'),
      /\/etc\/docker\/daemon\.json is not a JSON object/,
    );
  }
});

test('a file that set-up made goes away again; one that was there does not', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'coatcheck-daemon-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [made, found] = [join(folder, 'new/daemon.json'), join(folder, 'old/daemon.json')];
  replaceFile(made, withRuntime('', '/usr/bin/runsc', made));
  removeRuntime(made, true);
  assert.equal(existsSync(made), false);

  mkdirSync(join(folder, 'old'));
  writeFileSync(found, withRuntime('{"debug": true}', '/usr/bin/runsc', found));
  removeRuntime(found, false);
  assert.deepEqual(JSON.parse(readFileSync(found, 'utf8')), { debug: true });
});
