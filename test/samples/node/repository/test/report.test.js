import assert from 'node:assert/strict';
import { test } from 'node:test';
import { report } from '../src/report.js';

test('areas are counted and sorted by name', () => {
  const areas = [
    { name: 'docs', owner: 'writers', patterns: ['docs/**'] },
    { name: 'code', owner: 'core', patterns: ['src/**'] },
  ];
  assert.deepEqual(report(areas, ['src/a.js', 'docs/b.md', 'src/c.js', 'LICENSE']), ['code (core): 2', 'docs (writers): 1']);
});
