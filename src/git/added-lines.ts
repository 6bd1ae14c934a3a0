/** The added lines of one file, in their order. */
export interface AddedLines {
  readonly path: string;
  /** Runs of lines that follow one another in the new file. */
  readonly runs: readonly { readonly first: number; readonly lines: readonly string[] }[];
}

export interface ReadPatch {
  readonly files: readonly AddedLines[];
  /** Every removed line, file by file: what is added again elsewhere was there before. */
  readonly removed: string;
  /** False when the text ends in the middle of a hunk, or a file's content is left out. */
  readonly whole: boolean;
}

const HUNK = /^@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/;

/**
 * Reads the unified diff that git writes. Its hunks say how many lines they have, so that nothing that stands in a
 * line can pass for a header.
 */
export function readPatch(patch: string): ReadPatch {
  const lines = patch.split('\n');
  const files: AddedLines[] = [];
  const removed: string[] = [];
  let path = '';
  let whole = true;
  for (let at = 0; at < lines.length; ) {
    const line = lines[at++] ?? '';
    if (line.startsWith('diff --git ')) path = '';
    if (line.startsWith('+++ ')) path = pathIn(line.slice(4));
    if (line.startsWith('Binary files ')) whole = false;
    const hunk = HUNK.exec(line);
    if (hunk === null) continue;
    const body = readHunk(lines, at, { old: countOf(hunk[1]), new: countOf(hunk[3]), first: Number(hunk[2]) });
    at = body.end;
    whole &&= body.whole;
    for (const gone of body.removed) removed.push(gone);
    if (body.runs.length === 0) continue;
    const last = files.at(-1);
    if (last?.path === path) files[files.length - 1] = { path, runs: [...last.runs, ...body.runs] };
    else files.push({ path, runs: body.runs });
  }
  return { files, removed: removed.join('\n'), whole };
}

const countOf = (text: string | undefined): number => (text === undefined ? 1 : Number(text));

function readHunk(lines: readonly string[], from: number, size: { old: number; new: number; first: number }) {
  const runs: { first: number; lines: string[] }[] = [];
  const removed: string[] = [];
  let at = from;
  let line = size.first;
  for (let old = size.old, added = size.new; old > 0 || added > 0; at++) {
    const text = lines[at];
    const sign = text?.[0];
    if (text === undefined || !/^[+ \\-]/.test(text)) return { runs, removed, end: at, whole: false };
    if (sign === '+') {
      const last = runs.at(-1);
      if (last !== undefined && last.first + last.lines.length === line) last.lines.push(text.slice(1));
      else runs.push({ first: line, lines: [text.slice(1)] });
    }
    if (sign === '-') removed.push(text.slice(1));
    if (sign === '-' || sign === ' ') old--;
    if (sign === '+' || sign === ' ') {
      added--;
      line++;
    }
  }
  return { runs, removed, end: at, whole: true };
}

const ESCAPES: Readonly<Record<string, number>> = { a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13, '"': 34, '\\': 92 };

/** `b/path`, or the same in git's C-style quotes; a tab follows a name that holds blanks. */
function pathIn(written: string): string {
  const name = written.replace(/\t$/, '');
  if (!name.startsWith('"')) return name.slice(2);
  const bytes: number[] = [];
  for (const [, octal, letter, plain] of name.slice(1, -1).matchAll(/\\([0-7]{3})|\\(.)|([^\\])/gsu)) {
    if (octal !== undefined) bytes.push(Number.parseInt(octal, 8));
    else if (letter !== undefined) bytes.push(ESCAPES[letter] ?? 63);
    else bytes.push(...Buffer.from(plain ?? ''));
  }
  return Buffer.from(bytes).toString('utf8').slice(2);
}
