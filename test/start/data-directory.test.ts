import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { openDataDirectory } from '../../src/start/data-directory.ts';

const APP = { appId: 7, privateKey: 'pem', webhookSecret: 'a webhook secret' };
const mode = async (file: string): Promise<number> => (await stat(file)).mode & 0o777;

async function folder(t: TestContext): Promise<string> {
  const made = await mkdtemp(path.join(tmpdir(), 'coatcheck-data-'));
  t.after(() => rm(made, { recursive: true, force: true }));
  return path.join(made, 'data');
}

test('secrets are made at first use, stay, and only their owner reads them', async (t) => {
  const directory = await folder(t);
  const data = await openDataDirectory(directory);
  const secret = await data.secret('host-key');
  assert.match(secret, /^[\w-]{43}$/);
  assert.equal(await data.secret('host-key'), secret);
  assert.notEqual(await data.secret('link-key'), secret);
  assert.equal(await (await openDataDirectory(directory)).secret('host-key'), secret);
  assert.equal(await mode(directory), 0o700);
  assert.equal(await mode(path.join(directory, 'host-key.secret')), 0o600);
  assert.deepEqual((await readdir(directory)).sort(), ['host-key.secret', 'link-key.secret'], 'no draft is left');
});

test('a directory that others could look into is shut', async (t) => {
  const directory = await folder(t);
  await openDataDirectory(directory);
  await chmod(directory, 0o755);
  await openDataDirectory(directory);
  assert.equal(await mode(directory), 0o700);
});

test('a secret that others may read is refused, with the way to mend it', async (t) => {
  const directory = await folder(t);
  const data = await openDataDirectory(directory);
  await data.secret('host-key');
  await data.keepApp(APP);
  for (const file of ['host-key.secret', 'app.json']) await chmod(path.join(directory, file), 0o640);
  await assert.rejects(data.secret('host-key'), { code: 'secret_exposed', next: /chmod 600 .*host-key\.secret/ });
  await assert.rejects(data.app(), { code: 'secret_exposed' });
});

test('the App is kept once, for its owner', async (t) => {
  const directory = await folder(t);
  const data = await openDataDirectory(directory);
  assert.equal(await data.app(), null);
  await data.keepApp(APP);
  assert.deepEqual(await data.app(), APP);
  assert.equal(await mode(path.join(directory, 'app.json')), 0o600);
  await assert.rejects(data.keepApp({ ...APP, appId: 8 }), { code: 'EEXIST' });
  assert.equal((await data.app())?.appId, 7);
});
