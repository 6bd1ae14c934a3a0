import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { PROTECTED_PATHS } from '../../src/policy/protected.ts';
import {
  DEFAULT_YARDSTICK,
  isDefinitionPath,
  isTestPath,
  mergedKind,
  PACKAGE_JSON_DEFINITIONS,
} from '../../src/policy/yardstick.ts';

test('test files by the usual conventions', () => {
  for (const path of [
    'test/a.js',
    'tests/unit/test_x.py',
    'src/a.test.ts',
    'src/a.spec.tsx',
    'src/__tests__/a.js',
    'pkg/a_test.go',
    'test_top.py',
    'src/test/java/ATest.java',
    'spec/a_spec.rb',
    'tests/.hidden/x',
    'a/__snapshots__/x.snap',
    'test.sh',
  ])
    assert.ok(isTestPath(path), path);
  for (const path of ['src/a.js', 'latest/a.js', 'contest.py', 'src/attest.ts', 'README.md']) assert.ok(!isTestPath(path), path);
});

test('definitions of what commands do', () => {
  for (const path of [
    'Makefile',
    'sub/Makefile',
    'GNUmakefile',
    'jest.config.js',
    'vitest.config.ts',
    '.mocharc.json',
    '.mocharc',
    'pytest.ini',
    'tox.ini',
    'ruff.toml',
    'eslint.config.mjs',
    '.eslintrc.cjs',
    'conftest.py',
    'tests/conftest.py',
    'setup.cfg',
    'tsconfig.json',
    '.npmrc',
  ])
    assert.ok(isDefinitionPath(path), path);
  for (const path of ['src/config.js', 'package.json', 'pyproject.toml', 'package-lock.json', 'Cargo.toml', 'requirements.txt'])
    assert.ok(!isDefinitionPath(path), path);
});

test('manifests are put back in part', () => {
  assert.equal(mergedKind('package.json'), 'package.json');
  assert.equal(mergedKind('packages/a/pyproject.toml'), 'pyproject.toml');
  assert.equal(mergedKind('my-package.json'), null);
});

test('more globs widen what counts as a test', () => {
  const wider = { ...DEFAULT_YARDSTICK, tests: [...DEFAULT_YARDSTICK.tests, 'qa/**'] };
  assert.ok(isTestPath('qa/a.js', wider) && !isTestPath('qa/a.js'));
});

test('the documentation shows every default glob', () => {
  const page = readFileSync(new URL('../../docs/policy.md', import.meta.url), 'utf8');
  const lists = [...page.matchAll(/```text\n([\s\S]*?)\n```/g)].map((block) => block[1]?.split('\n'));
  assert.deepEqual(lists, [PROTECTED_PATHS, DEFAULT_YARDSTICK.tests, DEFAULT_YARDSTICK.definitions]);
  for (const key of PACKAGE_JSON_DEFINITIONS) assert.ok(page.includes(`\`${key}\``), key);
});
