import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CappedOutput } from '../../src/sandbox/capped-output.ts';

function capped(limit: number, ...pieces: string[]): CappedOutput {
  const output = new CappedOutput(limit);
  for (const piece of pieces) output.add(Buffer.from(piece));
  return output;
}

test('what fits is kept as it is', () => {
  const output = capped(10, 'abc', 'defg', 'hij');
  assert.equal(output.cut, 0);
  assert.equal(output.text(), 'abcdefghij');
});

test('what does not fit keeps its head and its tail, and the mark names the bytes between', () => {
  for (const pieces of [['abcdefghijklmnop'], [...'abcdefghijklmnop'], ['abcdefg', 'hijklmnop']]) {
    const output = capped(8, ...pieces);
    assert.equal(output.cut, 8);
    assert.equal(output.text(), 'abcd\n[… 8 bytes cut …]\nmnop');
  }
});

test('a character that the cut goes through is left out, not shown broken', () => {
  assert.equal(capped(6, 'ééééééé').text(), 'é\n[… 8 bytes cut …]\né');
});

test('memory stays near the limit whatever comes', () => {
  const output = new CappedOutput(1000);
  const chunk = Buffer.alloc(1024 * 1024, 'y');
  const before = process.memoryUsage().arrayBuffers;
  for (let n = 0; n < 500; n += 1) output.add(chunk);
  for (let n = 0; n < 20_000; n += 1) output.add(Buffer.from('z'));
  assert.ok(process.memoryUsage().arrayBuffers - before < 20 * 1024 * 1024);
  assert.equal(output.cut, 500 * chunk.length + 20_000 - 1000);
  assert.ok(output.text().endsWith('z'.repeat(500)));
});
