import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  dockerRuntime,
  RUNTIME_ARGS,
  removeRuntime,
  replaceFile,
  withoutRuntime,
  withRuntime,
} from '../../src/setup/daemon-json.mjs';
import { machineFiles } from '../../src/setup/places.mjs';

const OURS = { path: '/usr/bin/runsc', runtimeArgs: RUNTIME_ARGS };
const OLDER = { path: '/usr/bin/runsc', runtimeArgs: ['--network=none', '--host-uds=open'] };

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

test('a runtime with the arguments of an older version is found and brought up to date, and undone as a whole', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'coatcheck-daemon-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'daemon.json');
  writeFileSync(file, JSON.stringify({ debug: true, runtimes: { kata: { path: '/opt/kata' }, coatcheck: OLDER } }));
  const files = { ...machineFiles(folder), daemonJson: file };
  const said: string[] = [];
  const deeds: unknown[] = [];
  const context = {
    files,
    root: true,
    say: (text: string) => void said.push(text),
    record: (deed: unknown) => void deeds.push(deed),
  };

  assert.equal((await dockerRuntime.check(context)).ok, false);
  await dockerRuntime.apply(context);
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), {
    debug: true,
    runtimes: { kata: { path: '/opt/kata' }, coatcheck: OURS },
  });
  assert.equal((await dockerRuntime.check(context)).ok, true);
  assert.match(said.join(), /up to date/);
  assert.deepEqual(deeds, [{ deed: 'runtime', file, created: false }]);

  removeRuntime(file, false);
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), { debug: true, runtimes: { kata: { path: '/opt/kata' } } });
});
