import { invisibleKind } from './code-points.ts';

export interface Counts {
  htmlComments: number;
  pictures: number;
  imageTexts: number;
  linkTitles: number;
  entities: number;
}

const IMAGE = '[image]';

/** End of a construct that a browser does not show, `start` being at its `<`; null when it is no such thing. */
function unseenEnd(text: string, start: number): number | null {
  for (const [opening, closing] of [
    ['<!--', '-->'],
    ['<![CDATA[', ']]>'],
    ['<?', '?>'],
  ] as const) {
    if (!text.startsWith(opening, start)) continue;
    // `<!-->` and `<!--->` are whole comments, so the search starts inside the opening.
    const end = text.indexOf(closing, start + 2);
    if (end >= 0) return end + closing.length;
    // A code span may show a lone `<!--`: it can open no comment, as it does not start the line.
    return text[start - 1] === '`' ? null : text.length;
  }
  if (!/^<![a-z]/i.test(text.slice(start, start + 3))) return null;
  const end = text.indexOf('>', start);
  return end < 0 ? null : end + 1;
}

/** Without HTML comments, processing instructions, CDATA and declarations: unclosed ones reach to the end. */
export function dropComments(text: string, counts: Counts): string {
  const kept: string[] = [];
  let from = 0;
  for (let at = text.indexOf('<'); at >= 0; at = text.indexOf('<', at)) {
    const end = unseenEnd(text, at);
    if (end === null) {
      at += 1;
      continue;
    }
    kept.push(text.slice(from, at));
    counts.htmlComments += 1;
    from = end;
    at = end;
  }
  return kept.join('') + text.slice(from);
}

/** End of the HTML tag that starts at `start`, quoted attribute values taken into account; null when it is none. */
function tagEnd(text: string, start: number): number | null {
  for (let at = start + 1; at < text.length; at++) {
    const char = text[at];
    if (char === '>') return at + 1;
    if (char === '<') return null;
    if (char !== '"' && char !== "'") continue;
    at = text.indexOf(char, at + 1);
    if (at < 0) return null;
  }
  return null;
}

/** `<picture>` with all in it, and `<img>`, become `[image]`; `<source>` goes. */
export function dropImageTags(text: string, counts: Counts): string {
  const kept: string[] = [];
  let from = 0;
  for (const match of text.matchAll(/<(picture|img|source)(?=[\s/>])/gi)) {
    const start = match.index;
    if (start < from) continue;
    let end = tagEnd(text, start);
    if (end === null) continue;
    const name = match[1]?.toLowerCase();
    if (name === 'picture') {
      const closing = /<\/picture\s*>/gi;
      closing.lastIndex = end;
      if (closing.exec(text) !== null) end = closing.lastIndex;
    }
    counts[name === 'img' ? 'imageTexts' : 'pictures'] += 1;
    kept.push(text.slice(from, start), name === 'source' ? '' : IMAGE);
    from = end;
  }
  return kept.join('') + text.slice(from);
}

/** Where the destination and title in `(…)` end, and where the title starts; null when this is no inline link. */
function inlineTarget(text: string, open: number): { end: number; title: number | null } | null {
  const head = /\(\s*(?:<[^<>\n]*>|[^\s()<]*(?:\([^\s()]*\)[^\s()]*)*)/y;
  head.lastIndex = open;
  if (head.exec(text) === null) return null;
  let at = head.lastIndex;
  while (/\s/.test(text[at] ?? '')) at += 1;
  if (text[at] === ')') return { end: at + 1, title: null };
  const quote = { '"': '"', "'": "'", '(': ')' }[text[at] ?? ''];
  if (quote === undefined) return null;
  let close = text.indexOf(quote, at + 1);
  while (close > 0 && text[close - 1] === '\\') close = text.indexOf(quote, close + 1);
  if (close < 0) return null;
  const tail = /\s*\)/y;
  tail.lastIndex = close + 1;
  return tail.exec(text) === null ? null : { end: tail.lastIndex, title: at };
}

interface Cut {
  from: number;
  to: number;
  put: string;
}

/** Labels are compared as CommonMark does: case and inner white space do not count. */
const labelKey = (label: string): string => label.trim().replace(/\s+/g, ' ').toLowerCase();

/** What an image or link that ends its brackets at `close` hides. Rust's `vec![1][0]` refers to no definition, and stays. */
function bracketCut(text: string, open: number, close: number, defined: ReadonlySet<string>, counts: Counts): Cut | null {
  const target = text[close + 1] === '(' ? inlineTarget(text, close + 1) : null;
  if (text[open - 1] !== '!') {
    if (target?.title == null) return null;
    counts.linkTitles += 1;
    return { from: target.title, to: target.end, put: ')' };
  }
  const reference = /\[([^[\]\n]*)\]/y;
  reference.lastIndex = close + 1;
  const named = reference.exec(text)?.[1];
  const referred = named !== undefined && defined.has(labelKey(named));
  if (target === null && !referred && !defined.has(labelKey(text.slice(open + 1, close)))) return null;
  counts.imageTexts += 1;
  return { from: open - 1, to: target?.end ?? (named === undefined ? close + 1 : reference.lastIndex), put: IMAGE };
}

/** Markdown images become `[image]`, whatever form they have; titles of links go. */
export function dropImageTexts(text: string, counts: Counts): string {
  const defined = new Set(Array.from(text.matchAll(/\[((?:\\.|[^\\[\]])+)\]:/g), (match) => labelKey(match[1] ?? '')));
  const cuts: Cut[] = [];
  const open: number[] = [];
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '\\') at += 1;
    else if (char === '\n' && text[at + 1] === '\n') open.length = 0;
    else if (char === '[') open.push(at);
    else if (char === ']') {
      const start = open.pop();
      if (start === undefined) continue;
      const cut = bracketCut(text, start, at, defined, counts);
      if (cut === null) continue;
      while ((cuts.at(-1)?.from ?? -1) >= cut.from) cuts.pop();
      cuts.push(cut);
      at = cut.to - 1;
    }
  }
  let from = 0;
  const kept = cuts.flatMap((cut) => {
    const piece = [text.slice(from, cut.from), cut.put];
    from = cut.to;
    return piece;
  });
  return kept.join('') + text.slice(from);
}

const DEFINITION = /^([ >]{0,6})\[((?:\\.|[^\\[\]\n])+)\]:[ \t]*(<[^<>\n]*>|\S+)?([^\n]*)$/;
/** A title may stand on the lines after the target; a line that begins so, right after a definition, is one. */
const TITLE_LINE = /^[ >\t]*["'(]/;

/** Link definitions show nothing: those that no link uses go (`[//]: # (…)` is how comments are written), titles of the rest go too. */
export function dropDefinitions(text: string, counts: Counts): string {
  const used = new Set<string>();
  for (const match of text.matchAll(/\[((?:\\.|[^\\[\]\n])+)\](?!:)/g)) used.add(labelKey(match[1] ?? ''));
  const kept: string[] = [];
  let state: 'text' | 'defined' | 'title' = 'text';
  for (const line of text.split('\n')) {
    if (line.trim() === '') state = 'text';
    else if (state === 'title' || (state === 'defined' && TITLE_LINE.test(line))) {
      if (state === 'defined') counts.linkTitles += 1;
      state = /["')]\s*$/.test(line) ? 'text' : 'title';
      continue;
    }
    const [, indent = '', label = '', target = '', rest = ''] = DEFINITION.exec(line) ?? [];
    if (label === '' || label.startsWith('^')) {
      kept.push(line);
      continue;
    }
    state = rest.trim() === '' ? 'defined' : 'text';
    if (used.has(labelKey(label))) {
      if (rest.trim() !== '') counts.linkTitles += 1;
      kept.push(`${indent}[${label}]: ${target}`);
    } else counts.linkTitles += 1;
  }
  return kept.join('\n');
}

/** Character references that stand for invisible characters. */
export function dropEntities(text: string, counts: Counts): string {
  return text.replace(
    /&(?:#(\d{1,7})|#x([\da-f]{1,6})|(zwj|zwnj|shy|lrm|rlm|ZeroWidthSpace|NoBreak));/gi,
    (whole, decimal, hex, name) => {
      if (name === undefined && invisibleKind(Number.parseInt(decimal ?? hex, decimal === undefined ? 16 : 10)) === null)
        return whole;
      counts.entities += 1;
      return '';
    },
  );
}
