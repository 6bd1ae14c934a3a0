import assert from 'node:assert/strict';
import { test } from 'node:test';
import { areaFinder } from '../src/areas.js';

const areas = [
  { name: 'code', owner: 'core', patterns: ['src/**'] },
  { name: 'docs', owner: 'writers', patterns: ['docs/**', '*.md'] },
  { name: 'payments', owner: 'billing', patterns: ['src/payments/**'] },
];

test('a path has the area whose pattern matches it', () => {
  assert.equal(areaFinder(areas)('docs/install.md'), 'docs');
  assert.equal(areaFinder(areas)('src/index.js'), 'code');
});

test('dot files are matched like others', () => {
  assert.equal(areaFinder(areas)('src/.config.js'), 'code');
});

test('a path that nothing matches has no area', () => {
  assert.equal(areaFinder(areas)('LICENSE'), null);
});

test('a special area below a general one wins', () => {
  assert.equal(areaFinder(areas)('src/payments/card.js'), 'payments');
});
