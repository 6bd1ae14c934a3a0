import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FileFacts } from '../../src/git/changed-files.ts';
import { findingsIn, notesOn } from '../../src/git/tree-policy.ts';

const LIMITS = { files: 10, bytes: 1000, blobBytes: 600 };

const file = (facts: Partial<FileFacts>): FileFacts => ({
  ...{
    path: 'src/a.txt',
    change: 'added',
    mode: '100644',
    oldMode: '000000',
    size: 1,
    binary: false,
    readable: true,
    target: null,
  },
  ...facts,
});

const rules = (facts: Partial<FileFacts>, globs: readonly string[] = []): string[] =>
  findingsIn([file(facts)], LIMITS, globs).map((one) => one.rule);

test('links inside the tree pass', () => {
  for (const target of ['../README.md', './b.txt', 'b.txt', '..', '../other/./deep/file', 'not-there', '..hidden/x']) {
    assert.deepEqual(rules({ mode: '120000', target }), [], target);
  }
  assert.deepEqual(rules({ path: 'a/b/c/link', mode: '120000', target: '../../../top' }), []);
});

test('links out of the tree, into .git, through other links or of no length that a link can have are found', () => {
  const targets = [
    '../../outside',
    '/etc/passwd',
    '/',
    '',
    'x/../../..',
    'x/../y',
    '../.git/config',
    '../.GIT',
    '../..',
    'a\0b',
    null,
  ];
  for (const target of targets) assert.deepEqual(rules({ mode: '120000', target }), ['symlink'], String(target));
  assert.deepEqual(rules({ path: 'link', mode: '120000', target: '..' }), ['symlink']);
});

test('protected globs: any case, dot files, directories replaced by a link; look-alikes pass', () => {
  const globs = ['.github/workflows/**', 'CODEOWNERS', '**/.mcp.json', '.claude/**'];
  for (const path of [
    '.github/workflows/ci.yml',
    '.GITHUB/Workflows/deep/ci.yml',
    '.github',
    '.github/workflows',
    'codeowners',
    'a/.mcp.json',
    '.mcp.json',
    '.claude/x',
  ]) {
    assert.deepEqual(rules({ path }, globs), ['protected_path'], path);
  }
  for (const path of [
    'github/workflows/ci.yml',
    '.github/ISSUE_TEMPLATE.md',
    'src/CODEOWNERS',
    '.githubx',
    '.claude.md',
    'mcp.json',
  ]) {
    assert.deepEqual(rules({ path }, globs), [], path);
  }
  assert.deepEqual(rules({ path: '.github/workflows/ci.yml', change: 'deleted', mode: '000000' }, globs), ['protected_path']);
});

test('submodules, their definitions, odd modes, sizes and deceptive names are found; deletions of submodules are not', () => {
  assert.deepEqual(rules({ mode: '160000' }), ['submodule']);
  assert.deepEqual(rules({ change: 'deleted', mode: '000000', oldMode: '160000' }), []);
  assert.deepEqual(rules({ path: '.GitModules' }), ['gitmodules']);
  assert.deepEqual(rules({ mode: '100664' }), ['mode']);
  assert.deepEqual(rules({ mode: '100664', oldMode: '100664' }), []);
  assert.deepEqual(rules({ size: 601 }), ['file_too_large']);
  assert.deepEqual(rules({ path: 'a\u202etxt' }), ['path_unreadable']);
  assert.deepEqual(rules({ readable: false }), ['path_unreadable']);
  assert.deepEqual(rules({ path: 'wörd 🦊.txt' }), []);
  const sum = findingsIn([file({ size: 600 }), file({ path: 'b', size: 401 })], LIMITS, []);
  assert.deepEqual(
    sum.map((one) => one.rule),
    ['change_too_large'],
  );
});

test('a new executable bit is noted, not found', () => {
  assert.deepEqual(
    notesOn([file({ mode: '100755' })]).map((note) => note.rule),
    ['executable'],
  );
  assert.deepEqual(notesOn([file({ mode: '100755', oldMode: '100755' }), file({})]), []);
  assert.deepEqual(rules({ mode: '100755' }), []);
});
