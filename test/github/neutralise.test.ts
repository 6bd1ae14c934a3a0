import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { marked } from 'marked';
import { neutraliseMarkdown, neutraliseTitle } from '../../src/github/neutralise.ts';

/** What a renderer of GitHub's Markdown makes of it, without code, where GitHub links and mentions nothing. */
function rendered(markdown: string): string {
  const html = marked.parse(markdown, { async: false, gfm: true });
  return html.replace(/<pre>[\s\S]*?<\/pre>/g, '').replace(/<code>[\s\S]*?<\/code>/g, '');
}
const decoded = (html: string): string =>
  html.replaceAll('&#8203;', '\u200b').replaceAll('&amp;', '&').replaceAll('&#39;', "'").replaceAll('&quot;', '"');

/** Elements that a browser acts on, and text that GitHub turns into a mention, a reference or a link. */
const ACTIVE = [
  /<(?!\/?(?:p|h[1-6]|ul|ol|li|blockquote|em|strong|del|hr|br|input)\b)[a-z!/?]/i,
  /@\w/,
  /#\d/,
  /\bGH-\d/i,
  /:\/\/\S/,
  /\bwww\.\w/i,
];
function assertInert(source: string): void {
  const html = decoded(rendered(neutraliseMarkdown(source)));
  for (const active of ACTIVE) assert.doesNotMatch(html, active, `${JSON.stringify(source)} → ${html}`);
}

describe('agent-written text', () => {
  const cases: Record<string, string> = {
    mention: 'thanks @octocat and @acme/team',
    'mention in emphasis': '**@octocat**',
    'closing keyword': 'Fixes #1, closes acme/other#2 and resolves GH-3',
    'closing by URL': 'fixes https://github.com/acme/x/issues/1',
    image: '![alt](https://beacon.test/p.png?q=1)',
    'image by reference': '![a][b]\n\n[b]: https://beacon.test/x',
    'HTML image': '<img src="https://beacon.test/p.png">',
    'HTML over lines': '<img\nsrc="https://beacon.test/p.png"\n>',
    'HTML comment': 'a <!-- hidden --> b',
    script: '<script>alert(1)</script>',
    link: '[docs](https://beacon.test "t")',
    'script link': '[x](javascript:alert(1))',
    autolink: '<https://beacon.test> https://beacon.test www.beacon.test mailto:a@b.test',
    'Windows share': '\\\\beacon.test\\x smb://beacon.test/x file://beacon.test/x',
    'definition that later text would use': '[docs]: https://beacon.test',
    'table whose cells split a code span': '| `a | @octocat` |\n|---|---|\n| `x | @octocat` |',
    'backtick left open on the line before': 'a ` b\n`@octocat`',
    'fence inside a list': '- a\n  ```\n@octocat\n  ```',
    'fence with a shorter one inside': '````\n```\n````\n@octocat',
    'escapes of its own': '\\<img src=x> \\@octocat \\`@octocat`',
    entities: '&#64;octocat &lt;img src=x&gt; &commat;octocat',
  };
  for (const [name, source] of Object.entries(cases)) {
    test(`${name} does nothing`, () => {
      assertInert(source);
      const raw = decoded(rendered(source));
      if (
        !['escapes of its own', 'backtick left open on the line before', 'definition that later text would use'].includes(name) &&
        !name.startsWith('fence')
      ) {
        assert.ok(ACTIVE.some((active) => active.test(raw)) || /\\\\/.test(source), `the sample proves nothing: ${raw}`);
      }
    });
  }

  test('stays readable', () => {
    const source =
      '## What\n\n- fix `add(a, b)`\n  - nested\n1. *run* **it**\n\n> quoted\n\n```js\nimport x from "@acme/x"; // <b>\n```\nafter';
    const html = marked.parse(neutraliseMarkdown(source), { async: false });
    for (const part of [
      '<h2>What</h2>',
      '<code>add(a, b)</code>',
      '<em>run</em> <strong>it</strong>',
      '<blockquote>',
      'class="language-js"',
      '@acme/x',
      '&lt;b&gt;',
      '<p>after</p>',
    ]) {
      assert.ok(html.includes(part), `${part} in ${html}`);
    }
  });

  test('an unclosed code block swallows nothing that follows it', () => {
    const html = marked.parse(`${neutraliseMarkdown('```\ncode')}\n\nours`, { async: false });
    assert.match(html, /<p>ours<\/p>/);
  });

  test('invisible and direction characters go', () => {
    assert.equal(neutraliseMarkdown('a\u202eb\u{e0041}c\u200bd\u0007e👩‍💻'), 'abcde👩‍💻');
  });

  test('code closes no issue once it is part of a commit message', () => {
    assert.doesNotMatch(neutraliseMarkdown('```\nfixes #12\n```\n`closes: acme/x#1`'), /#\d/);
  });

  test('is cut to the limit, with a mark, code blocks closed', () => {
    const cut = neutraliseMarkdown(`\`\`\`\n${'line\n'.repeat(50_000)}`, 65_536);
    assert.ok(cut.length <= 65_536 && cut.length > 60_000);
    assert.match(marked.parse(cut, { async: false }), /<\/pre>\s*<p><em>… cut here/);
  });

  test('whatever the text, nothing is active in it', () => {
    const pieces = fc.constantFrom(
      '@octocat',
      '#1',
      'fixes ',
      'GH-2',
      '![',
      '](',
      ')',
      '[',
      ']',
      '<img src=x>',
      '<!--',
      '-->',
      '`',
      '``',
      '```\n',
      '~~~\n',
      '\n',
      '\n\n',
      '    ',
      '\t',
      '- ',
      '> ',
      '1. ',
      '# ',
      '|',
      '\n---|---\n',
      '\n:-\n',
      '\\',
      '&lt;',
      '&#64;',
      'https://x.test',
      '\\\\x',
      'www.x.test',
      '*',
      '_',
      ': ',
      ' ',
      'a',
      '===',
      '[a]: ',
    );
    fc.assert(
      fc.property(
        fc.array(pieces, { maxLength: 24 }).map((all) => all.join('')),
        assertInert,
      ),
      { numRuns: 5000 },
    );
  });

  test('hostile repetition takes no more than linear time', () => {
    for (const unit of ['`', '` ``', '[', '[a](', '![', '<', '> ', '- ', '@a', '`|', 'fixes ', 'a/']) {
      const started = performance.now();
      neutraliseMarkdown(unit.repeat(200_000 / unit.length));
      assert.ok(performance.now() - started < 3000, unit);
    }
  });
});

describe('a title', () => {
  test('is one line of at most 256 characters that refers to nothing', () => {
    assert.equal(neutraliseTitle('Fix #12\nfor @ann, see https://x.test GH-4'), 'Fix # 12 for @ ann, see https: //x.test GH- 4');
    assert.equal(neutraliseTitle('x'.repeat(300)).length, 256);
  });
});
