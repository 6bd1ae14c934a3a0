/**
 * Text that an agent wrote, made fit to stand on GitHub under our name.
 *
 * What is left of Markdown: headings, lists, quotations, emphasis, inline code and code blocks. No HTML, links, images or
 * tables come through, nobody is mentioned, no issue is referred to or closed, nothing is loaded or linked: addresses
 * are shown as text. The text is rewritten, not filtered: everything outside code is escaped, and code is fenced anew,
 * so that it does not matter how another reader of Markdown would have understood the original.
 */
import { CHECK_TEXT_CHARS, clipLine, clipMarkdown, TITLE_CHARS } from './clip.ts';

/** Shown as nothing; parts a name from its `@`. Renovate does the same in release notes. */
const SPLIT = '&#8203;';
/** Not tab or line feed; zero-width, bidirectional and tag characters; variation selectors beyond emoji. */
const INVISIBLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb]|\u034f|[\u{e0000}-\u{e0fff}]/gu;
/** Words that close an issue, before a reference to one. https://docs.github.com/en/issues/tracking-your-work-with-issues/using-issues/linking-a-pull-request-to-an-issue */
const CLOSING = /\b(close[sd]?|fix(?:e[sd])?|resolve[sd]?)(:?[ \t]+(?:[\w.-]+\/[\w.-]+)?(?:#|GH-|https?:\/\/))(?=\S)/gi;

const clean = (text: string): string =>
  text.toWellFormed().replaceAll('\r\n', '\n').replaceAll('\r', '\n').replace(INVISIBLE, '');

/** Code is not rendered, but becomes part of a commit message when a pull request is squashed: no issue is closed by it. */
const plainCode = (code: string): string => code.replace(CLOSING, '$1$2 ');

/** Rewrites agent-written Markdown, at most `limit` characters of it. Never throws. */
export function neutraliseMarkdown(text: string, limit: number = CHECK_TEXT_CHARS): string {
  const lines: string[] = [];
  let block: { code: string[]; closing: RegExp; language: string } | null = null;
  for (const line of clean(text.slice(0, 4 * limit)).split('\n')) {
    if (block === null) {
      const [, fence, language = ''] = /^ {0,3}(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^`]*$/.exec(line) ?? [];
      if (fence === undefined) lines.push(neutraliseTextLine(line));
      else block = { code: [], closing: new RegExp(`^ {0,3}${fence[0]}{${fence.length},}[ \\t]*$`), language };
    } else if (block.closing.test(line)) {
      lines.push(...fenced(block.code, block.language));
      block = null;
    } else block.code.push(line);
  }
  if (block !== null) lines.push(...fenced(block.code, block.language));
  return clipMarkdown(lines.join('\n').trim(), limit);
}

/** One line for a title or a commit's subject, where Markdown does not count but references may. */
export function neutraliseTitle(text: string, limit: number = TITLE_CHARS): string {
  const line = clean(text)
    .replace(/\n/g, ' ')
    .replace(/([@#]|\bGH-|:(?=\/\/))(?=[\w/])/gi, '$1 ');
  return clipLine(line, limit);
}

/** A code block whose fence is longer than any run of backticks in it, apart from what stands around it. */
function fenced(code: readonly string[], language: string): string[] {
  const longest = Math.max(0, ...(code.join('\n').match(/`+/g) ?? []).map((run) => run.length));
  const fence = '`'.repeat(Math.min(Math.max(3, longest + 1), 1000));
  if (longest >= 1000) return code.map(neutraliseTextLine);
  return ['', fence + language, ...code.map(plainCode), fence, ''];
}

function neutraliseTextLine(line: string): string {
  const [, indent = '', markers = '', task = '', rest = ''] =
    /^([ \t]*)((?:>[ \t]?|(?:[-*+]|\d{1,9}[.)]|#{1,6})[ \t]+){0,8})(\[[ xX]\][ \t])?(.*)$/.exec(line) ?? [];
  // Deeper indentation than any list needs would be a code block, in which our own escapes show.
  const depth = indent.replaceAll('\t', '    ').slice(0, 12);
  const start = /^(?:[=:>-]|#{1,6}$|~{3})/.test(rest) ? '\\' : '';
  return `${depth}${markers}${task}${start}${inline(rest)}`.trimEnd();
}

/** Code spans that open and close on the line, and no pipe in them that a table would take for its own, stay code. */
function inline(text: string): string {
  const shown = text.replace(
    /!?\[([^[\]]{0,500})\]\((?:<([^<>]{0,2000})>|([^\s()]{0,2000}))[^()]{0,500}\)/g,
    (_, label, angled, url) => {
      const target = String(angled ?? url ?? '').replaceAll('`', '');
      return target === '' ? String(label) : `${label} (\`${target}\`)`;
    },
  );
  let out = '';
  let from = 0;
  for (const match of shown.matchAll(/(?<!`)(`{1,20})(?!`)[^|]*?[^`|]\1(?!`)/g)) {
    out += escapeText(shown.slice(from, match.index)) + plainCode(match[0]);
    from = match.index + match[0].length;
  }
  return out + escapeText(shown.slice(from));
}

function escapeText(text: string): string {
  return text.replace(/[&<>\\`[\]|$]|@(?=\w)|#(?=\w)|GH-(?=\d)|:(?=\/\/)|(?:www|ftp)\.(?=\S)|(?:mailto|xmpp):/gi, (found) => {
    if (found === '&') return '&amp;';
    if (found === '<') return '&lt;';
    if (found === '>') return '&gt;';
    return /^[\\`[\]|$]$/.test(found) ? `\\${found}` : found + SPLIT;
  });
}
