import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CoatcheckError } from '../../src/errors.ts';
import { parseRepositoryConfig } from '../../src/policy/repository-config.ts';
import { RUNS } from '../property-runs.ts';

/** The problems, line by line; fails when the text is accepted. */
function problems(text: string): string[] {
  try {
    parseRepositoryConfig(text, 'f.yml');
  } catch (thrown) {
    assert.ok(thrown instanceof CoatcheckError, String(thrown));
    assert.equal(thrown.code, 'configuration_invalid');
    return thrown.message.split('\n');
  }
  return assert.fail('accepted');
}

test('all problems at once, each with file, line, column and what is allowed', () => {
  const found = problems(
    [
      'commands:',
      '  tests: npm test',
      '  lint: 3',
      'limits:',
      '  wall: soon',
      'colour: red',
      'protect: ["!a"]',
      'model: ""',
    ].join('\n'),
  );
  assert.deepEqual(
    found.map((line) => line.split(' ')[0]),
    ['f.yml:2:3:', 'f.yml:3:9:', 'f.yml:5:9:', 'f.yml:6:1:', 'f.yml:7:11:', 'f.yml:8:8:'],
  );
  assert.match(found[0] ?? '', /unknown key "tests" in "commands"; allowed: install, build, test, lint/);
  assert.match(found[1] ?? '', /"commands.lint": must be a command, or a list of commands/);
  assert.match(found[2] ?? '', /whole number and a unit \(s, min, h, days\)/);
  assert.match(found[3] ?? '', /unknown key "colour"; allowed: commands, model, image, limits, egress, protect, yardstick/);
});

test('YAML that means more than it shows is refused', () => {
  const cases: [name: string, text: string, message: RegExp][] = [
    ['duplicate keys', 'model: a\nmodel: b', /f\.yml:2:1: .*unique/],
    ['anchors and aliases', 'egress: &a [npm]\nprotect: *a', /anchors are not allowed/],
    [
      'alias bomb',
      `a: &a [x,x]\n${'bcdefghij'
        .split('')
        .map((k, i) => `${k}: &${k} [*${'abcdefghi'[i]},*${'abcdefghi'[i]}]`)
        .join('\n')}`,
      /aliases are not allowed/,
    ],
    ['tags', 'model: !!js/function "x"', /f\.yml:1:8: .*(tag|Unresolved)/i],
    ['tabs', 'commands:\n\ttest: x', /f\.yml:2:1: .*[Tt]ab/],
    ['two documents', 'model: a\n---\nmodel: b', /multiple documents/i],
    ['prototype keys', '__proto__: {model: x}', /f\.yml:1:1: .*__proto__/],
    ['a key that is a list', '? [a, b]\n: c', /keys must be plain words/],
    ['a list', '- a', /f\.yml:1:1: .*expected object/],
    ['too long', '#'.repeat(70_000), /longer than/],
    ['an open quote', 'model: "a', /f\.yml:1:/],
    ['merge keys', 'commands:\n  <<: {test: x}', /unknown key "<<"/],
    ['nesting', '['.repeat(30_000), /f\.yml:1:/],
  ];
  for (const [name, text, message] of cases) assert.match(problems(text).join('\n'), message, name);
});

test('good files are read, with the lines of the commands', () => {
  const { config, commands } = parseRepositoryConfig(
    [
      '# ours',
      'commands:',
      '  test:',
      '    - npm test',
      '    - npm run e2e',
      '  install: npm ci',
      'limits: {wall: 5 min, memory: 2 GiB}',
    ].join('\n'),
  );
  assert.deepEqual(
    commands?.map((c) => [c.kind, c.run, c.source.line]),
    [
      ['install', 'npm ci', 6],
      ['test', 'npm test', 4],
      ['test', 'npm run e2e', 5],
    ],
  );
  assert.equal(config.limits?.wall, 300_000);
  assert.equal(config.limits?.memory, 2 * 1024 ** 3);
  assert.equal(parseRepositoryConfig('').commands, null);
  assert.equal(parseRepositoryConfig('# nothing\n').commands, null);
  assert.deepEqual(parseRepositoryConfig('commands: {}').commands, []);
});

test('any text is either read or refused with places', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.constantFrom(
      'commands:',
      '\n',
      '  ',
      'test: ',
      '- ',
      '{',
      '}',
      '[',
      ']',
      '&a ',
      '*a',
      '!!x ',
      '"',
      "'",
      '|',
      '>',
      '? ',
      ': ',
      '#',
      '---',
      '\t',
      '%YAML 9\n',
    ),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
      try {
        parseRepositoryConfig(pieces.join(''), 'f.yml');
      } catch (thrown) {
        assert.ok(thrown instanceof CoatcheckError, String(thrown));
        assert.match(thrown.message, /^f\.yml:[1-9]\d*:[1-9]\d*: /);
      }
    }),
    { numRuns: RUNS },
  );
});
