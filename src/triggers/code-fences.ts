export interface Part {
  code: boolean;
  text: string;
}

/** Raw HTML that reaches over blank lines: what follows it may not be the code block that it looks like. */
const REACHES_ON = /<(?:pre|script|style|textarea|[!?])/i;
const OPENING = /^(`{3,}(?=[^`]*$)|~{3,})/;

/**
 * Splits Markdown into prose and fenced code, so that an HTML comment which a reader sees, in a code block, stays.
 *
 * Only a fence that cannot be anything else counts: in the first column (so in no list or quotation), after a blank line
 * (so in no HTML block that a blank line ends), and with no raw HTML before it that reaches over blank lines. All other
 * text is prose, from which more is removed. Expects `\n` line ends. https://spec.commonmark.org/0.31.2/#fenced-code-blocks
 */
export function splitFences(text: string): Part[] {
  const parts: Part[] = [];
  let lines: string[] = [];
  let closing: RegExp | null = null;
  let blank = true;
  let reached = false;
  const flush = (code: boolean): void => {
    if (lines.length > 0) parts.push({ code, text: lines.join('') });
    lines = [];
  };
  for (const line of text.split(/(?<=\n)/)) {
    if (closing === null) {
      const fence = blank && !reached ? OPENING.exec(line.replace(/\n$/, ''))?.[1] : undefined;
      if (fence !== undefined) {
        flush(false);
        closing = new RegExp(`^ {0,3}${fence[0]}{${fence.length},}[ \\t]*\\n?$`);
      } else reached ||= REACHES_ON.test(line);
      lines.push(line);
    } else {
      lines.push(line);
      if (closing.test(line)) {
        flush(true);
        closing = null;
      }
    }
    blank = /^[ \t]*\n?$/.test(line);
  }
  flush(closing !== null);
  return parts;
}
