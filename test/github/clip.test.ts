import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { clipLine, clipMarkdown } from '../../src/github/clip.ts';

test('short text stays as it is', () => {
  assert.equal(clipMarkdown('a\n\nb', 100), 'a\n\nb');
  assert.equal(clipLine(' a\n b ', 100), 'a b');
});

test('whatever the text, the limit is kept and no character is cut in two', () => {
  const text = fc
    .array(fc.constantFrom('😀', 'a', '\n', '```\n', '~~~\n', '<!-- x', ' -->', 'word '), { maxLength: 400 })
    .map((all) => all.join(''));
  fc.assert(
    fc.property(text, fc.integer({ min: 150, max: 400 }), (source, limit) => {
      for (const cut of [clipMarkdown(source, limit), clipLine(source, limit)]) {
        assert.ok(cut.length <= limit);
        assert.ok(cut.isWellFormed());
      }
      if (source.length > limit) assert.match(clipMarkdown(source, limit), /\n\n\*… cut here: [^\n]+\*$/);
    }),
  );
});

test('a code block that is cut is closed, a hidden comment that is cut goes', () => {
  assert.match(clipMarkdown(`\`\`\`\`\n${'x\n'.repeat(300)}`, 200), /x\n````\n\n\*… cut/);
  assert.doesNotMatch(clipMarkdown(`a\n<!-- ${'x '.repeat(300)}`, 200), /<!--/);
});
