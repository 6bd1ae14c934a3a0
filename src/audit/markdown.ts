/**
 * Text that others wrote, made safe to stand in GitHub Markdown: inside code nothing is a mention, a closing keyword,
 * a link, an image or HTML. Control characters (terminal sequences, bidirectional overrides, zero-width and tag
 * characters) are shown as the mark of a replaced character.
 */
const INVISIBLE = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

const visible = (text: string) => text.replaceAll('\r\n', '\n').replace(INVISIBLE, '\ufffd');

/** The longest run of back-ticks in a text. */
const ticks = (text: string) => Math.max(0, ...Array.from(text.matchAll(/`+/g), ([run]) => run.length));

/** A code span for a table cell: one line, `limit` characters at most. */
export function codeCell(text: string, limit = 200): string {
  const line = visible(text).replaceAll(/\s+/g, ' ').trim();
  const short = line.length > limit ? `${line.slice(0, limit).toWellFormed()}…` : line;
  if (short === '') return '';
  const fence = '`'.repeat(ticks(short) + 1);
  // In a table a pipe ends the cell even inside code, unless a backslash stands before it (GFM, section 4.10).
  return `${fence} ${short.replaceAll('|', '\\|')} ${fence}`;
}

/** A fenced block, `limit` characters at most, the cut said. */
export function codeBlock(text: string, limit: number): string {
  const shown = visible(text);
  const short =
    shown.length > limit ? `${shown.slice(0, limit).toWellFormed()}\n… ${shown.length - limit} more characters` : shown;
  const fence = '`'.repeat(Math.max(3, ticks(short) + 1));
  return `${fence}text\n${short}\n${fence}`;
}

/** A block that is folded away under a summary of our own words. */
export const folded = (summary: string, body: string) => `<details><summary>${summary}</summary>\n\n${body}\n\n</details>`;

/** Milliseconds for a reader. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}
