import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { judge, tally } from './cases.ts';

/** Rows of the threat catalogue that these tests cover; the others are covered by the tests of triggers and faults. */
const IN_SCOPE = [...range(1, 46), 50, 51, ...range(55, 61)];
const LEAST_CASES = 150;

const text = z.string().min(1);
const Table = z.object({
  CASES: z.array(z.object({ row: z.int(), name: text, attempt: text, expected: text })).min(1),
});

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

const files = globSync('*.cases.ts', { cwd: import.meta.dirname }).sort();

/** Imports the tables; nothing is started by that. */
async function allCases() {
  const tables = await Promise.all(
    files.map(async (file): Promise<z.infer<typeof Table>['CASES']> => {
      const loaded: unknown = await import(join(import.meta.dirname, file));
      return Table.parse(loaded).CASES;
    }),
  );
  return tables.flat();
}

test('every row in scope has cases, and there are enough of them', async (t) => {
  const cases = await allCases();
  console.log(`escape: ${tally(cases)}`);
  t.diagnostic(tally(cases));
  const covered = new Set(cases.map(({ row }) => row));
  assert.deepEqual(
    IN_SCOPE.filter((row) => !covered.has(row)),
    [],
    'rows without a case',
  );
  assert.deepEqual([...covered].filter((row) => !IN_SCOPE.includes(row)).sort(), [], 'rows that are not in the catalogue');
  assert.ok(cases.length >= LEAST_CASES, `${cases.length} cases`);
  const names = cases.map(({ row, name }) => `row ${row}: ${name}`);
  assert.deepEqual(
    names.filter((name, index) => names.indexOf(name) !== index),
    [],
    'two cases of the same name',
  );
});

/** What a test file attempts: the tables that it imports and hands to `attempt`. */
function attempted(file: string): string[] {
  const source = readFileSync(join(import.meta.dirname, file), 'utf8');
  const handed = /\battempt\(\s*(\[[^\]]*\]|\w+)/.exec(source)?.[1] ?? '';
  const imports = source.matchAll(/import \{[^}]*\bCASES(?: as (\w+))?[^}]*\} from '\.\/(\S+\.cases\.ts)'/g);
  return [...imports].flatMap(([, name = 'CASES', table = '']) => (new RegExp(`\\b${name}\\b`).test(handed) ? [table] : []));
}

test('every table is attempted, by one test file, and no case can be left out', () => {
  const tests = globSync('*.test.ts', { cwd: import.meta.dirname });
  assert.deepEqual(tests.flatMap(attempted).sort(), files);
  for (const file of ['cases.ts', ...files, ...tests.filter((name) => name !== 'coverage.test.ts')]) {
    const source = readFileSync(join(import.meta.dirname, file), 'utf8');
    assert.doesNotMatch(source, /(?:\.|\b(?:t|test|it|describe)\()(?:skip|todo|only)\b|\b(?:skip|todo|only): (?:true|')/, file);
  }
});

test('a case fails when the attempt was not stopped, and when its control did not work', () => {
  const one = { row: 1, name: 'x', attempt: 'a', expected: 'e' };
  const seen = (held: boolean, worked: boolean) => ({ held, seen: 's', control: { worked, how: 'h' } });
  judge(one, seen(true, true));
  assert.throws(() => judge(one, seen(false, true)), /not stopped/);
  assert.throws(() => judge(one, seen(true, false)), /proves nothing/);
});
