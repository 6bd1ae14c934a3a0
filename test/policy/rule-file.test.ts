import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { KEYWORDS, kindOf } from '../../src/policy/keywords.ts';
import { RULE_FILE_LIMIT, readRuleFile } from '../../src/policy/rule-file.ts';
import { DeclaredCommand } from '../../src/task/verification.ts';
import { RUNS } from '../property-runs.ts';

const read = (text: string) => readRuleFile('AGENTS.md', text);
const brief = (text: string) => read(text).commands.map((c) => [c.kind, c.run, c.source.line]);

test('reads each kind with its line, in any of the bullet and dash forms', () => {
  const text = [
    '# Project',
    '',
    '- `rm -rf /` - test outside of the section',
    '',
    '## Commands',
    '',
    '- `npm ci` - install dependencies',
    '* `npm run build` – Builds it',
    '1. `npm test`: run the tests',
    '   - `npm run lint` — Lint',
    '',
    '### More commands',
    '',
    '+ `` echo `x` `` - test with backticks',
    '- `make test`',
    '',
    '## Style',
    '- `prettier .` - lint outside of the section',
  ].join('\n');
  assert.deepEqual(brief(text), [
    ['install', 'npm ci', 7],
    ['build', 'npm run build', 8],
    ['test', 'npm test', 9],
    ['lint', 'npm run lint', 10],
    ['test', 'echo `x`', 14],
    ['test', 'make test', 15],
  ]);
  assert.deepEqual(brief(text.replaceAll('\n', '\r\n')), brief(text));
  for (const command of read(text).commands) DeclaredCommand.parse(command);
});

test('what is not recognised is not run and is said so', () => {
  const { commands, notRecognised } = read(
    [
      '## Build and test',
      '- `npm start` - start the app under test',
      '- `npm test -- <file>` - run one test',
      '- `make docs` - documentation',
      '- Run `npm test` before you push',
      '- `npm te\u202est` - test',
      '```sh',
      'npm test',
      '```',
    ].join('\n'),
  );
  assert.deepEqual(commands, []);
  assert.deepEqual(
    notRecognised.map((n) => [n.line, n.why.split(' ')[0]]),
    [
      [2, 'would'],
      [3, 'the'],
      [4, 'no'],
      [5, 'not'],
      [6, 'control'],
      [8, 'only'],
    ],
  );
});

test('the first keyword decides, never wins, and words are whole', () => {
  assert.equal(kindOf('Install what the tests need'), 'install');
  assert.equal(kindOf('Run tests, then build'), 'test');
  assert.equal(kindOf('Set  up everything'), 'install');
  assert.equal(kindOf('run the tests in watch mode'), 'never');
  assert.equal(kindOf('latest contest'), null);
  assert.equal(kindOf('buildings'), null);
});

test('the documentation shows the same keyword table', () => {
  const rows = readFileSync(new URL('../../docs/rule-file.md', import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => /^\| (?!kind|-)/.test(line))
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .map(([, kind, keywords]) => ({ kind, keywords: keywords?.split(', ') }));
  assert.deepEqual(rows, KEYWORDS);
});

test('is total: any text gives a result, within the caps', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '## Commands\n',
      '- `a` - test\n',
      '> ',
      '- ',
      '```\n',
      '1. ',
      '\r',
      '\t',
      '<!--',
      '[a]: ',
      '|',
      '`',
      '\u2028',
      '&#0;',
    ),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const text = pieces.join('');
      const { commands, notRecognised } = read(text);
      const lines = text.split(/\r\n?|\n/);
      for (const c of commands) assert.ok(lines[c.source.line - 1]?.includes(c.run), `line ${c.source.line} holds ${c.run}`);
      assert.ok(commands.length <= 20 && notRecognised.length <= 50);
    }),
    { numRuns: RUNS },
  );
});

test('deep nesting and oversize end in a readable line, soon', () => {
  const began = performance.now();
  assert.match(read('>'.repeat(RULE_FILE_LIMIT)).notRecognised[0]?.why ?? '', /nested/);
  const big = `## Commands\n- \`npm test\` - test\n${'x'.repeat(1_000_000)}`;
  assert.equal(read(big).commands.length, 1);
  assert.match(read(big).notRecognised.at(-1)?.why ?? '', /only the first/);
  assert.ok(performance.now() - began < 10_000);
});
