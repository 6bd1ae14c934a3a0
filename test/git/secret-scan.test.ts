import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readPatch } from '../../src/git/added-lines.ts';
import { scanPatch } from '../../src/git/secret-scan.ts';
import { RUNS } from '../property-runs.ts';
import { madeUp, SECRETS } from './secret-samples.ts';

interface Line {
  readonly sign: '+' | '-' | ' ';
  readonly text: string;
}
interface Change {
  readonly path: string;
  readonly hunks: readonly { readonly gap: number; readonly lines: readonly Line[] }[];
}

/** A path as git writes it with core.quotePath. */
function written(path: string): string {
  const bytes = Buffer.from(path);
  if (bytes.every((byte) => byte > 31 && byte < 127 && byte !== 34 && byte !== 92))
    return path.includes(' ') ? `${path}\t` : path;
  const octal = [...bytes].map((byte) =>
    byte > 31 && byte < 127 && byte !== 34 && byte !== 92 ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, '0')}`,
  );
  return `"${octal.join('')}"`;
}

/** The diff as git writes it, and where each added line stands in the new file. */
function render(changes: readonly Change[]) {
  const added: string[] = [];
  const text = changes.map(({ path, hunks }) => {
    let [old, now] = [1, 1];
    const parts = hunks.map(({ gap, lines }) => {
      old += gap;
      now += gap;
      const [removed, kept] = [lines.filter(({ sign }) => sign !== '+').length, lines.filter(({ sign }) => sign !== '-').length];
      const head = `@@ -${old},${removed} +${now},${kept} @@ ${path}`;
      for (const { sign, text } of lines) {
        if (sign === '+') added.push(`${path}:${now}:${text}`);
        if (sign !== '+') old++;
        if (sign !== '-') now++;
      }
      return `${head}\n${lines.map(({ sign, text }) => `${sign}${text}\n`).join('')}`;
    });
    const [a, b] = [written(`a/${path}`), written(`b/${path}`)];
    return `diff --git ${a} ${b}\nindex 1..2 100644\n--- ${a}\n+++ ${b}\n${parts.join('')}`;
  });
  return { text: text.join(''), added };
}

/** Lines that pass for parts of a diff, when nobody counts. */
const hostile = fc.constantFrom(
  '++ b/other',
  '-- a/other',
  'diff --git a/x b/x',
  '@@ -1 +1 @@',
  'Binary files a and b differ',
  '\\ No',
  '',
);
const lineText = fc.oneof(hostile, fc.string({ unit: 'grapheme', maxLength: 8 })).map((text) => text.replaceAll('\n', ' '));
const line = fc.record({ sign: fc.constantFrom('+', '-', ' '), text: lineText });
const hunk = fc.record({ gap: fc.nat(50), lines: fc.array(line, { minLength: 1, maxLength: 6 }) });
const name = fc.oneof(fc.constantFrom('a b', 'ä"\\', 'tab\there', '+++ b', '\u{1f98a}'), fc.stringMatching(/^[a-z.]{1,8}$/));
const changes = fc.uniqueArray(fc.record({ path: name, hunks: fc.array(hunk, { minLength: 1, maxLength: 3 }) }), {
  selector: ({ path }) => path,
  maxLength: 4,
});

test('every added line is read, with its file and number, whatever the lines and names are like', () => {
  fc.assert(
    fc.property(changes, (all) => {
      const { text, added } = render(all);
      const { files, whole } = readPatch(text);
      const read = files.flatMap(({ path, runs }) =>
        runs.flatMap(({ first, lines }) => lines.map((line, i) => `${path}:${first + i}:${line}`)),
      );
      assert.deepEqual(read, added);
      assert.ok(whole);
    }),
    { numRuns: RUNS },
  );
});

test('a secret is told in the line where it was added; one in a removed or unchanged line is not', async () => {
  const secret = `ghp_${madeUp(36)}`;
  await fc.assert(
    fc.asyncProperty(changes, fc.nat(), fc.constantFrom('+', '-', ' '), async (all, at, sign) => {
      const lines = all.flatMap(({ hunks }) => hunks.flatMap((one) => one.lines));
      const target = lines[at % Math.max(1, lines.length)];
      const marked = all.map(({ path, hunks }) => ({
        path,
        hunks: hunks.map(({ gap, lines }) => ({
          gap,
          lines: lines.map((one) => (one === target ? { sign, text: `key = ${secret};` } : one)),
        })),
      })) as Change[];
      const { text, added } = render(marked);
      const { hits, shown } = await scanPatch(text, text);
      const expected = added.filter((one) => one.includes(secret)).map((one) => one.replace(/:key = .*$/, ''));
      assert.deepEqual(
        hits.map(({ path, line }) => `${path}:${line}`),
        expected,
      );
      assert.equal(shown.includes(secret), sign !== '+' && target !== undefined);
    }),
    { numRuns: Math.ceil(RUNS / 4) },
  );
});

const added = (path: string, ...lines: string[]): string =>
  render([{ path, hunks: [{ gap: 0, lines: lines.map((text) => ({ sign: '+', text })) }] }]).text;
const removed = (path: string, ...lines: string[]): string =>
  added(path, ...lines)
    .replaceAll(/^\+(?!\+\+ )/gm, '-')
    .replace(/@@ -1,0 \+1,(\d+) @@/, '@@ -1,$1 +1,0 @@');

test('a secret that is moved was there before; one that is added beside it was not', async () => {
  for (const [name, [, secret]] of Object.entries(SECRETS)) {
    const old = secret.split('\n');
    const moved = await scanPatch(removed('a', ...old) + added('b', 'x', ...old), '');
    assert.deepEqual([moved.hits, moved.whole], [[], true], name);
    const other = await scanPatch(removed('a', 'something else') + added('b', 'x', ...old), '');
    assert.deepEqual(
      other.hits.map(({ path, line }) => [path, line]),
      [['b', 2]],
      name,
    );
  }
});

test('what leaves the cage holds no secret, line by line', async () => {
  for (const [name, [, secret]] of Object.entries(SECRETS)) {
    const text = added('config', ...`key: ${secret}`.split('\n'));
    const { hits, shown } = await scanPatch(text, text);
    const told = JSON.stringify({ hits, shown });
    for (const part of secret.split('\n')) assert.ok(part.length < 6 || !told.includes(part), `${name}: ${part}`);
    assert.match(shown, /^\+key: \[secret: [\w-]+ [\w-]+\]/m);
  }
});

test('a patch that ends too early, or leaves a file out, is not whole', async () => {
  const text = added('a', 'one', 'two', 'three');
  for (const cut of [text.slice(0, -7), text.slice(0, text.indexOf('+two')), `${text}Binary files a/x and b/x differ\n`]) {
    assert.equal((await scanPatch(cut, '')).whole, false, cut);
  }
  assert.equal((await scanPatch(text, '')).whole, true);
});

test('a flood of secrets is told as one, and shown by none', async () => {
  const text = added('a', ...Array.from({ length: 2100 }, (_, i) => `ghp_${String(i).padStart(36, 'a')}`));
  const { hits, shown } = await scanPatch(text, text);
  assert.ok(hits.length > 0 && hits.length < 1000);
  assert.ok(!shown.includes('ghp_'));
});
