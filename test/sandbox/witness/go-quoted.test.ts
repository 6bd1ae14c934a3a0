import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { lastVector, unquoted } from '../../../src/sandbox/witness/go-quoted.ts';

/** What Go's `%q` makes of a text without surrogates. */
function quote(text: string): string {
  const escaped = [...text].map((letter) => {
    if (letter === '"' || letter === '\\') return `\\${letter}`;
    const code = letter.codePointAt(0) ?? 0;
    if (letter === '\n') return '\\n';
    if (code < 0x20 || code === 0x7f) return `\\x${code.toString(16).padStart(2, '0')}`;
    return code === 0xfeff ? '\\ufeff' : letter;
  });
  return `"${escaped.join('')}"`;
}

const nasty = fc.oneof(
  fc.string({ unit: fc.constantFrom('"', '\\', ',', ' ', '[', ']', '0x1', '\n', 'a', '{', ')', '= 0') }),
  fc.string({ unit: 'grapheme' }),
);

test('a list is read back whatever is in it and whatever stands before it', () => {
  fc.assert(
    fc.property(nasty, fc.array(nasty), fc.array(nasty), (path, argv, environment) => {
      const list = (items: readonly string[], address: string) => `${address} [${items.map(quote).join(', ')}]`;
      const text = `0x10000 ${path}, ${list(argv, '0x7e1')}, ${list(environment, '0x7e2')}`;
      const second = lastVector(text);
      assert.ok(second?.quoted);
      assert.deepEqual(second.quoted.map(unquoted), environment);
      const first = lastVector(second.before.replace(/,$/, ''));
      assert.ok(first?.quoted);
      assert.deepEqual(first.quoted.map(unquoted), argv);
      assert.equal(first.before, `0x10000 ${path},`);
    }),
  );
});

test('every escape that Go writes is undone; a byte that is no text stays visible as such', () => {
  assert.equal(unquoted('\\a\\b\\f\\n\\r\\t\\v\\\\\\"\\x01\\u2028\\U0001f600é'), '\x07\b\f\n\r\t\v\\"\x01\u2028😀é');
  assert.equal(unquoted('a\\xffb\\U99999999'), 'a\ufffdb\ufffd');
});

test('a list that the kernel could not read is told from an empty one', () => {
  assert.deepEqual(lastVector('0x1 /bin/x, 0x7e [], 0x0 {error copying vector: bad address}')?.quoted, null);
  assert.deepEqual(lastVector('0x1 /bin/x, 0x7e []')?.quoted, []);
  for (const text of ['', '[]', '"a"]', 'x ["a"]', '0x1 ["a" "b"]', '0x1 "a"]', ' 0x1 ["a", ]'])
    assert.equal(lastVector(text), null, text);
});
