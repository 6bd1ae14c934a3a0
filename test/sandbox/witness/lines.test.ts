import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lines } from '../../../src/sandbox/witness/lines.ts';

test('lines come out whole wherever the bytes are cut', () => {
  const bytes = Buffer.from('first\n\nthïrd µs\nrest');
  for (let at = 0; at <= bytes.length; at++) {
    const lines = new Lines();
    const found = [...lines.push(Buffer.from(bytes.subarray(0, at))), ...lines.push(Buffer.from(bytes.subarray(at)))];
    assert.deepEqual(found, ['first', '', 'thïrd µs']);
  }
});

test('a line beyond all measure is left out and counted, and the next one is read', () => {
  const lines = new Lines();
  const piece = Buffer.alloc(16 * 1024 * 1024, 'x');
  for (let pieces = 0; pieces < 3; pieces++) assert.deepEqual(lines.push(piece), []);
  assert.deepEqual(lines.push(Buffer.from('tail\nnext\n')), ['next']);
  assert.equal(lines.tooLong, 1);
});
