import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { invisibleKind } from '../../src/triggers/code-points.ts';
import { stripHidden } from '../../src/triggers/strip-hidden.ts';

const tagged = (text: string): string => Array.from(text, (char) => String.fromCodePoint(0xe0000 + char.charCodeAt(0))).join('');

describe('hidden text goes', () => {
  const cases: Record<string, string> = {
    'HTML comment': 'a <!-- EVIL --> b',
    'comment over lines': 'a\n<!--\nEVIL\n\n-->\nb',
    'unclosed comment at a line start': 'a b\n<!-- EVIL\nmore EVIL',
    'unclosed comment in a line': 'a b <!-- EVIL',
    'unclosed comment in a quotation': 'a b\n> <!-- EVIL',
    'comment put together from two': 'a <!-<!-- x -->- EVIL --> b',
    'comment split by a zero-width character': 'a <!-\u200b- EVIL --> b',
    'closed comment after a lone backtick': 'a `<!-- EVIL --> b',
    'processing instruction': 'a <?EVIL ?> b',
    CDATA: 'a <![CDATA[ EVIL ]]> b',
    declaration: 'a <!DOCTYPE EVIL> b',
    'tag characters': `a ${tagged('EVIL')} b`,
    'image tag': 'a <img src=x alt="EVIL"> b',
    'image tag with > in a value': 'a <img alt="x > EVIL" src=y> b',
    picture: 'a <picture><source srcset="x" media="EVIL"><img alt="EVIL"></picture> b',
    'unclosed picture': 'a <picture title="EVIL"> b',
    'image text': 'a ![EVIL](https://x.test/y.png) b',
    'image title': 'a ![x](https://x.test/y.png "EVIL") b',
    'image URL': 'a ![x](https://x.test/EVIL) b',
    'nested image text': 'a ![x [EVIL] y](https://x.test) b',
    'image by reference': 'a ![EVIL][pic] b\n\n[pic]: https://x.test "EVIL"',
    'image by its own label': 'a ![EVIL] b\n\n[evil]: https://x.test',
    'image of a link': 'a [![EVIL](x)](y "EVIL") b',
    'link title': 'a [c](https://x.test "EVIL") b',
    'definition as comment': 'a\n\n[//]: # (EVIL)\n\nb',
    'definition label': 'a\n\n[EVIL do this]: #\n\nb',
    'definition title on the next line': 'a b\n\n[x]: y\n  "EVIL\nEVIL"\n\n',
    'character references': 'a &#x200b;&#8203;&ZeroWidthSpace; b',
    'comment behind a false fence in an HTML block': 'a\n<div>\n```\n<!-- EVIL -->\n```\n</div>\nb',
    'comment behind a false fence in a list': '- a\n\n  ```\n<!-- EVIL -->\n  ```\nb',
    'comment behind a false fence in <pre>': '<pre>\n\n```\n<!-- EVIL -->\n</pre>\na b',
  };
  for (const [name, source] of Object.entries(cases)) {
    test(name, () => {
      const { text, total } = stripHidden(source);
      assert.doesNotMatch(text, /EVIL|&#|ZeroWidth/);
      assert.ok(total > 0);
      assert.match(text, /a[\s\S]*(?:b|$)/);
    });
  }

  test('counts say what went', () => {
    const { counts } = stripHidden(`x<!-- a -->\u200b\u200by\u202e${tagged('z')}![q](u)`);
    assert.deepEqual(
      { ...counts },
      { htmlComments: 1, pictures: 0, imageTexts: 1, linkTitles: 0, entities: 0, zeroWidth: 1, bidi: 1, tags: 1, controls: 0 },
    );
  });
});

describe('what readers see stays', () => {
  const cases: Record<string, string> = {
    plain: 'Fix `add`: it subtracts.\n\n1. run\n2. see',
    'emoji sequences': 'family 👨‍👩‍👧‍👦, flag 🏳️‍🌈, ❤️‍🔥, skin 👩🏽‍💻, keycap 1️⃣',
    'right-to-left': 'שלום עולם, مرحبا بالعالم',
    'Persian with a joiner': 'می‌خواهم',
    'Hindi with a joiner': 'क्‍ष',
    'comment in a code block': 'See:\n\n```html\n<!-- keep -->\n<img alt="keep">\n[KEY]: 1,\n```\nafter',
    'lone opening in a code span': 'the parser fails on `<!--` here',
    generics: 'Map<String, List<T>> and a < b > c',
    'rust macro': 'use `vec![1][0]` or #![feature(x)]',
    'used definition': 'see [the docs][d]\n\n[d]: https://x.test/d',
    footnote: 'text[^1]\n\n[^1]: note',
    'plain link': '[text](https://x.test/a_(b))',
    'array access': 'a[0](1) and [ ] todo and [x] done',
  };
  for (const [name, source] of Object.entries(cases)) {
    test(name, () => assert.deepEqual(stripHidden(source), { ...stripHidden(source), text: source, total: 0 }));
  }
});

const nasty = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '<!--',
        '-->',
        '<!',
        '<?',
        '![',
        ']',
        '](',
        ')',
        '"',
        "'",
        '[',
        '[a]: ',
        '<img ',
        '<picture>',
        '</picture>',
        '>',
        '`',
        '```\n',
        '~~~\n',
        '\n',
        '\n\n',
        '\\',
        '&#x200b;',
      ),
      fc.constantFrom('\u200b', '\u200d', '\u202e', '\u{e0041}', '\ufe0f', '\ud800', '👩', 'م'),
      fc.string({ unit: 'binary', maxLength: 8 }),
    ),
    { maxLength: 60 },
  )
  .map((parts) => parts.join(''));

describe('any text', () => {
  test('no character that is always hidden is left, and nothing opens a comment outside code', () => {
    fc.assert(
      fc.property(nasty, (source) => {
        const { text } = stripHidden(source);
        for (const char of text) {
          const kind = invisibleKind(char.codePointAt(0) ?? 0);
          assert.ok(kind !== 'bidi' && kind !== 'tags' && kind !== 'controls');
        }
        if (!/^(?:`{3}|~{3})/m.test(source)) assert.doesNotMatch(text, /<!--[\s\S]*-->/);
      }),
      { numRuns: 2000 },
    );
  });

  test('stripping twice changes nothing more', () => {
    fc.assert(
      fc.property(nasty, (source) => {
        const once = stripHidden(source).text;
        assert.equal(stripHidden(once).text, once);
      }),
      { numRuns: 2000 },
    );
  });

  test('hostile repetition takes no more than linear time', () => {
    for (const unit of ['<!--', '<img "', '![', '![](<', '[a]: ', '<picture>', '`', '&#x', '(', '![](\'"', '```\n']) {
      const started = performance.now();
      stripHidden(unit.repeat(262_144 / unit.length));
      assert.ok(performance.now() - started < 3000, `${JSON.stringify(unit)} took too long`);
    }
  });
});
