import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { findCageTools } from '../../src/cage/tools.ts';
import { CoatcheckError } from '../../src/errors.ts';

test('a missing program stops the run and names its package', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'coatcheck-tools-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const expectMissing = (packageName: string) =>
    assert.throws(
      () => findCageTools([directory]),
      (error) => error instanceof CoatcheckError && error.code === 'cage_unavailable' && error.next.includes(packageName),
    );
  expectMissing('bubblewrap');
  writeFileSync(join(directory, 'bwrap'), '', { mode: 0o755 });
  expectMissing('util-linux');
  writeFileSync(join(directory, 'setpriv'), '', { mode: 0o755 });
  writeFileSync(join(directory, 'prlimit'), '', { mode: 0o644 });
  expectMissing('util-linux');
  writeFileSync(join(directory, 'prlimit2'), '');
  rmSync(join(directory, 'prlimit'));
  writeFileSync(join(directory, 'prlimit'), '', { mode: 0o755 });
  assert.equal(findCageTools([directory]).bwrap, join(directory, 'bwrap'));
});
