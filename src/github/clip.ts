/** GitHub's limits, in characters. https://docs.github.com/en/rest/checks/runs, https://docs.github.com/en/rest/issues/comments */
export const COMMENT_CHARS = 65_536;
export const CHECK_TEXT_CHARS = 65_535;
export const TITLE_CHARS = 256;

const MARK = '\n\n*… cut here: the text is longer than GitHub takes.*';

/** One line, cut to `limit` characters with `…`, never through a surrogate pair. */
export function clipLine(text: string, limit: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= limit
    ? line
    : `${line
        .slice(0, limit - 1)
        .toWellFormed()
        .replace(/\uFFFD$/, '')}…`;
}

/** Markdown cut to `limit` characters at a line's end, a code block that was cut closed again, with a visible mark. */
export function clipMarkdown(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const room = limit - MARK.length - 16;
  const lineEnd = text.lastIndexOf('\n', room);
  const kept = (
    lineEnd > room / 2
      ? text.slice(0, lineEnd)
      : text
          .slice(0, room)
          .toWellFormed()
          .replace(/\uFFFD$/, '')
  ).trimEnd();
  const fence = openFence(kept);
  // A hidden marker or other comment that was cut open would swallow the mark.
  const safe = kept.lastIndexOf('<!--') > kept.lastIndexOf('-->') ? kept.slice(0, kept.lastIndexOf('<!--')) : kept;
  return safe + (fence === null ? '' : `\n${fence.slice(0, 12)}`) + MARK;
}

/** The fence that is still open at the end of a text; null when none is. */
function openFence(text: string): string | null {
  let open: string | null = null;
  for (const line of text.split('\n')) {
    const fence: string | undefined = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (fence === undefined) continue;
    if (open === null) open = fence;
    else if (fence[0] === open[0] && fence.length >= open.length && /^ {0,3}[`~]+[ \t]*$/.test(line)) open = null;
  }
  return open;
}
