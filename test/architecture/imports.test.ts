import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { importsOf, offence, offences } from './imports.ts';
import { READS_ENVIRONMENT } from './rules.ts';

const root = join(import.meta.dirname, '../..');
const sources = globSync('src/**/*.{ts,mjs}', { cwd: root }).map((file) => join(root, file));

test('every way to name a module is seen', () => {
  const source = `
    import a from './a.ts'; import type { B } from './b.ts'; import './c.ts';
    export { d } from './d.ts'; export * from './e.ts'; export type { F } from './f.ts';
    const g = await import('./g.ts');
  `;
  assert.deepEqual(
    importsOf('x.ts', source).sort(),
    ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name) => `./${name}.ts`),
  );
});

test('the rules refuse what they should and allow what they should', () => {
  const wrong = [
    ['door/listener.ts', '../sandbox/sandbox.ts'],
    ['agent/loop.ts', '../sandbox/driver.ts'],
    ['control/accept.ts', '../host/run-task.ts'],
    ['task/task.ts', '../audit/events.ts'],
    ['host/run-task.ts', '../store/tasks.ts'],
    ['host/run-task.ts', 'dockerode'],
    ['control/publish.ts', '@octokit/rest'],
    ['nowhere/a.ts', '../errors.ts'],
  ] as const;
  for (const [file, specifier] of wrong) assert.notEqual(offence(file, specifier), null, `${file} → ${specifier}`);
  const right = [
    ['door/listener.ts', '../cage/cage.ts'],
    ['agent/loop.ts', '../sandbox/sandbox.ts'],
    ['host/run-task.ts', '../door/door.ts'],
    ['store/tasks.ts', '../task/task.ts'],
    ['sandbox/driver.ts', 'dockerode'],
    ['main.ts', './control/start.ts'],
  ] as const;
  for (const [file, specifier] of right) assert.equal(offence(file, specifier), null, `${file} → ${specifier}`);
});

test('src/ keeps to the allowed edges', () => {
  assert.ok(sources.length > 50, 'the sources were found');
  assert.deepEqual(offences(sources, join(root, 'src')), []);
});

test('only the configuration reads the environment', () => {
  const readers = sources.filter((file) =>
    /process\.env\b|import\s*\{[^}]*\benv\b[^}]*\}\s*from\s*'node:process'/.test(code(file)),
  );
  assert.deepEqual(readers.map((file) => relative(root, file)).sort(), READS_ENVIRONMENT);
});

/** The file without its comments, which may well speak of the environment. */
function code(file: string): string {
  return readFileSync(file, 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '');
}
