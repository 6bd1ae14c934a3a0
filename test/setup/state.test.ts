import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { withRuntime } from '../../src/setup/daemon-json.mjs';
import { machineFiles } from '../../src/setup/places.mjs';
import { addDeed, readDeeds } from '../../src/setup/state.mjs';
import { undo } from '../../src/setup/undo.mjs';

/** A machine's files in a folder; no engine answers there. */
function machine(t: { after: (release: () => void) => void }) {
  const root = mkdtempSync(join(tmpdir(), 'coatcheck-undo-'));
  t.after(() => rmSync(root, { recursive: true }));
  const files = machineFiles(root);
  const said: string[] = [];
  const context = { files, root: true, say: (text: string) => void said.push(text), record: () => {} };
  return { root, files, said, context };
}

test('a deed is kept once, in order', (t) => {
  const { files } = machine(t);
  addDeed(files.state, { deed: 'apt_file', path: '/a' });
  addDeed(files.state, { deed: 'image', reference: 'b' });
  addDeed(files.state, { deed: 'apt_file', path: '/a' });
  assert.deepEqual(readDeeds(files.state), [
    { deed: 'apt_file', path: '/a' },
    { deed: 'image', reference: 'b' },
  ]);
});

test('undo takes back what is recorded and nothing else, and a second one has nothing to do', async (t) => {
  const { root, files, said, context } = machine(t);
  const source = join(files.aptSources, 'coatcheck-backports.sources');
  const foreign = join(files.aptSources, 'debian.sources');
  mkdirSync(files.aptSources, { recursive: true });
  writeFileSync(source, 'ours');
  writeFileSync(foreign, 'theirs');
  mkdirSync(join(root, 'etc/docker'), { recursive: true });
  writeFileSync(files.daemonJson, withRuntime('{"debug": true}', '/usr/bin/runsc', files.daemonJson));
  addDeed(files.state, { deed: 'apt_file', path: source });
  addDeed(files.state, { deed: 'runtime', file: files.daemonJson, created: false });
  addDeed(files.state, { deed: 'dockerd', pid: process.pid });

  await undo(context);

  assert.equal(existsSync(source), false);
  assert.equal(readFileSync(foreign, 'utf8'), 'theirs');
  assert.deepEqual(JSON.parse(readFileSync(files.daemonJson, 'utf8')), { debug: true });
  assert.deepEqual(readDeeds(files.state), []);
  assert.equal(said.length, 2, 'a process of that number that is no dockerd is left alone');

  await undo(context);
  assert.match(said.at(-1) ?? '', /nothing to take back/);
});
