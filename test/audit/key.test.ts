import assert from 'node:assert/strict';
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openKey } from '../../src/audit/key.ts';
import { temporaryFolder } from './record.fixture.ts';

test('the key is made at the first start, for its owner only, and stays the same', async (t) => {
  const folder = await temporaryFolder(t);
  const first = await openKey(folder);
  assert.equal((await stat(join(folder, 'record-key.pem'))).mode & 0o777, 0o600);
  assert.match(first.id, /^[0-9a-f]{64}$/);
  assert.equal((await openKey(folder)).id, first.id);
  assert.deepEqual((await readdir(folder)).sort(), ['record-key.pem', 'record-key.pub.pem']);
  assert.ok(!(await readFile(join(folder, 'record-key.pub.pem'), 'utf8')).includes('PRIVATE'));
});

test('processes that start at once end up with one key', async (t) => {
  const folder = await temporaryFolder(t);
  const keys = await Promise.all([openKey(folder), openKey(folder), openKey(folder)]);
  assert.equal(new Set(keys.map((key) => key.id)).size, 1);
});

test('a key that others may read is refused', async (t) => {
  const folder = await temporaryFolder(t);
  await openKey(folder);
  await chmod(join(folder, 'record-key.pem'), 0o644);
  await assert.rejects(openKey(folder), { code: 'key_exposed' });
});

test('a file that is no key is refused, not replaced', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'record-key.pem'), 'not a key', { mode: 0o600 });
  await assert.rejects(openKey(folder), { code: 'key_unreadable' });
});
