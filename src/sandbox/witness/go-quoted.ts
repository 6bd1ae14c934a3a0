/** Escapes of Go's `%q` that stand for one character; see https://pkg.go.dev/strconv#Quote. */
const SHORT: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
};

const ESCAPE = /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.))/gs;

/** The text that Go's `%q` wrote between quotes. Bytes that are no UTF-8 become U+FFFD. */
export function unquoted(inside: string): string {
  if (!inside.includes('\\')) return inside;
  return inside.replace(ESCAPE, (_, byte?: string, short?: string, long?: string, letter?: string) => {
    if (byte !== undefined) return byte < '80' ? String.fromCharCode(Number.parseInt(byte, 16)) : '\ufffd';
    const point = short ?? long;
    if (point === undefined) return SHORT[letter ?? ''] ?? '\ufffd';
    const code = Number.parseInt(point, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd';
  });
}

/** A list of strings at the end of a text, as gVisor writes one: `0x7ec6 ["a", "b"]`. */
export interface Vector {
  /** Each still escaped, without its quotes; null where the kernel could not read the list. */
  readonly quoted: readonly string[] | null;
  /** What stands before the list. */
  readonly before: string;
}

/**
 * Takes the list off that a text ends with; null when it ends otherwise.
 *
 * It is read from its end: what stands before it holds a path as the program gave it, which may look like anything, while
 * within the list every quote that is part of a string is escaped. So nothing in a path can pass for a part of the list.
 */
export function lastVector(text: string): Vector | null {
  const unread = / (?:0x[0-9a-f]+ )?\{error copying vector: [^{}"]*\}$/.exec(text);
  if (unread !== null) return { quoted: null, before: text.slice(0, unread.index) };
  if (!text.endsWith(']')) return null;
  const quoted: string[] = [];
  let at = text.length - 1;
  if (text[at - 1] !== '[') {
    do {
      // `at` is one past a closing quote.
      if (text[at - 1] !== '"') return null;
      const open = openingQuote(text, at - 2);
      if (open < 0) return null;
      quoted.push(text.slice(open + 1, at - 1));
      at = text.startsWith(', ', open - 2) ? open - 2 : open;
      if (at === open && text[open - 1] !== '[') return null;
    } while (text[at] === ',');
  }
  const address = / 0x[0-9a-f]+ \[$/.exec(text.slice(Math.max(0, at - 40), at));
  if (address === null) return null;
  return { quoted: quoted.reverse(), before: text.slice(0, at - address[0].length) };
}

/** The nearest quote at or before `from` that is not escaped; -1 when there is none. */
function openingQuote(text: string, from: number): number {
  for (let at = text.lastIndexOf('"', from); at >= 0; at = at === 0 ? -1 : text.lastIndexOf('"', at - 1)) {
    let slashes = 0;
    while (text[at - 1 - slashes] === '\\') slashes += 1;
    if (slashes % 2 === 0) return at;
  }
  return -1;
}
