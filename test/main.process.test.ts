import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';

const MAIN = path.join(import.meta.dirname, '..', 'src', 'main.ts');

/** Starts the product with an environment of its own and waits for its end. */
function start(t: TestContext, mode: string, environment: Readonly<Record<string, string>> = {}) {
  const directory = mkdtempSync(path.join(tmpdir(), 'coatcheck-main-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const env = { PATH: process.env['PATH'] ?? '', COATCHECK_DATA_DIR: directory, ...environment };
  return spawnSync(process.execPath, [MAIN, mode], { env, encoding: 'utf8', timeout: 20_000 });
}

test('an unknown way to start is refused in a sentence that names the known ones', (t) => {
  const { status, stderr } = start(t, 'nonsense');
  assert.equal(status, 1);
  assert.match(stderr, /nonsense.*Use one of: all, control, host/s);
  assert.doesNotMatch(stderr, /^ {4}at /m, 'no stack trace');
});

test('an environment that cannot be used is refused in a sentence that names the variable', (t) => {
  const { status, stderr } = start(t, 'host', { COATCHECK_LISTEN: 'nowhere' });
  assert.equal(status, 1);
  assert.match(stderr, /COATCHECK_LISTEN: write it as host:port/);
  assert.doesNotMatch(stderr, /^ {4}at /m, 'no stack trace');
});

test('a known way with a usable environment gets further: to what a host must be told', (t) => {
  const { status, stdout, stderr } = start(t, 'host');
  assert.equal(status, 1);
  assert.equal(stderr, '');
  assert.match(stdout, /A host needs REDIS_URL, COATCHECK_CONTROL_URL and COATCHECK_HOST_KEY/);
});
