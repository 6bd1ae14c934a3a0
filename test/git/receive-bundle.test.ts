import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { receiveBundle } from '../../src/git/receive-bundle.ts';
import { temporary } from './repositories.ts';

const signal = AbortSignal.timeout(10_000);

test('bytes are written as they come, counted and digested, readable for the cage whatever the umask', async (t) => {
  const file = join(temporary(t), 'change.bundle');
  const umask = process.umask(0o077);
  t.after(() => process.umask(umask));
  const bytes = Buffer.from('not even a bundle \0\xff', 'latin1');
  const got = await receiveBundle(Readable.from([bytes.subarray(0, 3), bytes.subarray(3)]), {
    file,
    byteLimit: bytes.length,
    signal,
  });
  assert.deepEqual(got, { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') });
  assert.deepEqual(readFileSync(file), bytes);
  assert.equal(statSync(file).mode & 0o777, 0o644);
});

test('a stream over the limit is ended there, not read to its end, and leaves no file', async (t) => {
  const file = join(temporary(t), 'change.bundle');
  let produced = 0;
  const endless = Readable.from(
    (function* () {
      for (;;) {
        produced += 1000;
        yield Buffer.alloc(1000);
      }
    })(),
  );
  await assert.rejects(receiveBundle(endless, { file, byteLimit: 100_000, signal }), { code: 'change_too_large' });
  assert.ok(produced < 400_000);
  assert.ok(endless.destroyed && !existsSync(file));
});

test('a stream that breaks, and one that is aborted, leave no file', async (t) => {
  const root = temporary(t);
  const breaking = Readable.from(
    (async function* () {
      yield Buffer.alloc(10);
      throw new Error('the host went away');
    })(),
  );
  await assert.rejects(receiveBundle(breaking, { file: join(root, 'a'), byteLimit: 1000, signal }), /the host went away/);
  const stop = new AbortController();
  const silent = new Readable({ read: () => stop.abort(new Error('cancelled')) });
  await assert.rejects(receiveBundle(silent, { file: join(root, 'b'), byteLimit: 1000, signal: stop.signal }), /cancelled/);
  assert.ok(!existsSync(join(root, 'a')) && !existsSync(join(root, 'b')));
});

test('a file or link that is already there is neither followed nor removed', async (t) => {
  const root = temporary(t);
  writeFileSync(join(root, 'precious'), 'precious');
  symlinkSync(join(root, 'precious'), join(root, 'link'));
  for (const name of ['precious', 'link']) {
    await assert.rejects(receiveBundle(Readable.from([Buffer.from('x')]), { file: join(root, name), byteLimit: 10, signal }), {
      code: 'EEXIST',
    });
  }
  assert.equal(readFileSync(join(root, 'precious'), 'utf8'), 'precious');
});
