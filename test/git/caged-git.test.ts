import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CageResult } from '../../src/cage/run-in-cage.ts';
import { isOverLimits } from '../../src/git/caged-git.ts';

const result = (changed: Partial<CageResult>): CageResult => ({
  ...{ ended: 'exited', exitCode: 128, signal: null, stdout: Buffer.alloc(0), stderr: '' },
  ...changed,
});

test('what a cap ended is the change’s doing; what a person or the host ended is not', () => {
  for (const ended of ['killed', 'timed_out', 'output_limit'] as const) assert.ok(isOverLimits(result({ ended })), ended);
  for (const stderr of [
    'fatal: Out of memory, malloc failed',
    'error: git-diff died of signal 11',
    'write error: File too large',
  ])
    assert.ok(isOverLimits(result({ stderr })), stderr);
  assert.ok(!isOverLimits(result({ stderr: 'fatal: bad object' })));
  assert.ok(!isOverLimits(result({ ended: 'aborted' })));
});
