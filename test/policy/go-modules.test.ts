import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CoatcheckError } from '../../src/errors.ts';
import { goModulePaths } from '../../src/policy/go-modules.ts';
import { decide } from '../../src/policy/match.ts';
import { loadPresets, presetRules, readPresets } from '../../src/policy/presets.ts';
import { RUNS } from '../property-runs.ts';

const HASH = `h1:${'a'.repeat(42)}A=`;
const GO_SUM = [
  `github.com/BurntSushi/toml v1.2.3-RC.1 ${HASH}`,
  `github.com/BurntSushi/toml v1.2.3-RC.1/go.mod ${HASH}`,
  `golang.org/x/text v0.3.0/go.mod ${HASH}`,
  `example.com/old v2.0.0+incompatible ${HASH}`,
  '',
].join('\n');
const NOW = Date.parse('2026-01-01T00:00:00Z');

test('exactly the versions of a go.sum are open, with capitals escaped in both spellings', () => {
  assert.deepEqual(goModulePaths(GO_SUM).sort(), [
    '/example.com/old/@v/v2.0.0+incompatible.info',
    '/example.com/old/@v/v2.0.0+incompatible.mod',
    '/example.com/old/@v/v2.0.0+incompatible.zip',
    '/github.com/!burnt!sushi/toml/@v/v1.2.3-!r!c.1.info',
    '/github.com/!burnt!sushi/toml/@v/v1.2.3-!r!c.1.mod',
    '/github.com/!burnt!sushi/toml/@v/v1.2.3-!r!c.1.zip',
    '/github.com/%21burnt%21sushi/toml/@v/v1.2.3-%21r%21c.1.info',
    '/github.com/%21burnt%21sushi/toml/@v/v1.2.3-%21r%21c.1.mod',
    '/github.com/%21burnt%21sushi/toml/@v/v1.2.3-%21r%21c.1.zip',
    '/golang.org/x/text/@v/v0.3.0.info',
    '/golang.org/x/text/@v/v0.3.0.mod',
  ]);
});

test('the preset opens these paths and nothing that lists, looks up or carries more', () => {
  const preset = readPresets(['go']).get('go');
  assert.ok(preset);
  const rules = presetRules(preset, GO_SUM);
  const verdict = (path: string, more: object = {}) =>
    decide(rules, { phase: 'setup', host: 'proxy.golang.org', port: 443, method: 'GET', path, ...more }, NOW).allowed;
  for (const path of goModulePaths(GO_SUM)) assert.equal(verdict(path), true, path);
  const shut = [
    '/golang.org/x/text/@v/v0.3.0.zip',
    '/golang.org/x/text/@v/v0.3.1.mod',
    '/golang.org/x/text/@v/list',
    '/golang.org/x/text/@latest',
    '/golang.org/x/text/@v/v0.3.0.mod?told=secret',
    '/golang.org/x/text/@v/v0.3.0.mod/evil.test/@v/v1.0.0.mod',
    '/golang.org/x/text/@v/v0.3.0.mod/',
    '/secret.evil.test/x/@v/v1.0.0.info',
    '/sumdb/sum.golang.org/supported',
    '/github.com/BurntSushi/toml/@v/v1.2.3-RC.1.mod',
    '/',
  ];
  for (const path of shut) assert.equal(verdict(path), false, path);
  assert.equal(verdict('/golang.org/x/text/@v/v0.3.0.mod', { phase: 'agent' }), false);
  assert.equal(verdict('/golang.org/x/text/@v/v0.3.0.mod', { method: 'POST' }), false);
  assert.equal(verdict('/golang.org/x/text/@v/v0.3.0.mod', { host: 'sum.golang.org' }), false);
});

test('without a go.sum nothing is open', () => {
  const preset = readPresets(['go']).get('go');
  assert.ok(preset);
  assert.deepEqual([presetRules(preset, null), presetRules(preset, ''), loadPresets(['go']).get('go')], [[], [], []]);
});

test('what is not a line of a go.sum is refused with its place', () => {
  const bad = [
    `golang.org/x/text v0.3.0 h1:short=`,
    `golang.org/x/text v0.3.0`,
    `golang.org/x/../text v0.3.0 ${HASH}`,
    `golang.org//text v0.3.0 ${HASH}`,
    `golang.org/x/text/@v v0.3.0 ${HASH}`,
    `golang.org/x/te?xt v0.3.0 ${HASH}`,
    `golang.org/x/te%2fxt v0.3.0 ${HASH}`,
    `text v0.3.0 ${HASH}`,
    `Golang.org/x/text v0.3.0 ${HASH}`,
    `golang.org/x/text latest ${HASH}`,
    `golang.org/x/text v0.3.0/../../x ${HASH}`,
    `golang.org/x/text v0.3.0 ${HASH} more`,
    `golang.org/x/text v0.3.0 ${HASH}\r`,
    `${'a'.repeat(300)}.org/x v0.3.0 ${HASH}`,
  ];
  for (const line of bad) {
    assert.throws(
      () => goModulePaths(`golang.org/x/text v0.3.0 ${HASH}\n${line}\n`),
      (thrown) =>
        thrown instanceof CoatcheckError && thrown.code === 'configuration_invalid' && /^go\.sum:2: /.test(thrown.message),
      line,
    );
  }
});

test('more than a door can hold is refused', () => {
  const lines = Array.from({ length: 12_000 }, (_, n) => `example.com/${'long-'.repeat(12)}${n} v1.0.0 ${HASH}`);
  assert.throws(() => goModulePaths(lines.join('\n')), /names more modules than the preset "go" opens/);
  assert.equal(goModulePaths(lines.slice(0, 4000).join('\n')).length, 12_000);
});

test('any text is read or refused, and every path stays below a module of it', () => {
  const piece = fc.oneof(
    fc.constantFrom('golang.org/x/', 'text', ' v1.0.0', '/go.mod', ` ${HASH}`, '\n', '..', '@v', '/', 'A', '%21', '?', '#', ' '),
    fc.string({ unit: 'binary', maxLength: 8 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const text = pieces.join('');
      try {
        for (const path of goModulePaths(text)) {
          assert.match(path, /^\/[a-z0-9.-]+(?:\/[\w.~!%-]+)*\/@v\/v[\w.+!%-]+\.(?:info|mod|zip)$/);
          const [module = ''] = path.slice(1).split('/@v/');
          assert.ok(text.includes(module.replace(/(?:!|%21)([a-z])/g, (_, letter: string) => letter.toUpperCase())));
        }
      } catch (thrown) {
        assert.ok(thrown instanceof CoatcheckError && thrown.code === 'configuration_invalid', String(thrown));
        assert.match(thrown.message, /^go\.sum:/);
      }
    }),
    { numRuns: RUNS },
  );
});
