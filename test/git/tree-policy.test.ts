import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FileFacts } from '../../src/git/changed-files.ts';
import { findingsIn, tooLargeInAll } from '../../src/git/tree-policy.ts';
import { RUNS } from '../property-runs.ts';

const file = (facts: Partial<FileFacts>): FileFacts => ({
  ...{ path: 'src/a.txt', change: 'added', mode: '100644', oldMode: '000000', size: 1, binary: false },
  ...{ readable: true, target: null },
  ...facts,
});

const rules = (facts: Partial<FileFacts>, protectedPaths: readonly string[] = []): string[] =>
  findingsIn([file(facts)], { largeFileBytes: 600, protectedPaths }).map((one) => one.rule);

test('links inside the tree pass', () => {
  for (const target of ['../README.md', './b.txt', 'b.txt', '..', '../other/./deep/file', 'not-there', '..hidden/x']) {
    assert.deepEqual(rules({ mode: '120000', target }), [], target);
  }
  assert.deepEqual(rules({ path: 'a/b/c/link', mode: '120000', target: '../../../top' }), []);
});

test('links out of the tree, into .git, through other links or of no length that a link can have are found', () => {
  const targets = [
    ...['../../outside', '/etc/passwd', '/', '', 'x/../../..', 'x/../y', '../.git/config', '../.GIT', '../..', 'a\0b', null],
    ...['../.g\u200cit/config', '../GIT~1/hooks', '../\uff0egit'],
  ];
  for (const target of targets) assert.deepEqual(rules({ mode: '120000', target }), ['symlink'], String(target));
  assert.deepEqual(rules({ path: 'link', mode: '120000', target: '..' }), ['symlink']);
});

/** Where a path leads in a tree of links, as a kernel walks it: each part in turn, links put in the place of their name. */
function walk(links: ReadonlyMap<string, string>, path: string): 'inside' | 'outside' | 'loop' {
  const todo = path.split('/');
  const at: string[] = [];
  for (let steps = 0; todo.length > 0; steps++) {
    if (steps > 500) return 'loop';
    const part = todo.shift() ?? '';
    if (part === '' || part === '.') continue;
    if (part === '..') {
      if (at.pop() === undefined) return 'outside';
      continue;
    }
    const target = links.get([...at, part].join('/'));
    if (target === undefined) at.push(part);
    else if (target.startsWith('/')) return 'outside';
    else todo.unshift(...target.split('/'));
  }
  return 'inside';
}

const part = fc.constantFrom('a', 'b', 'c', '..', '.', '');
const target = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/'));
const linkPath = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));

test('in a tree of links that pass, no link leads out, whichever links it goes through', () => {
  let passed = 0;
  fc.assert(
    fc.property(fc.array(fc.tuple(linkPath, target), { maxLength: 6 }), (candidates) => {
      const passing = candidates.filter(([path, to]) => rules({ path, mode: '120000', target: to }).length === 0);
      // A tree has one entry per path, and nothing below a link.
      const links = new Map<string, string>();
      for (const [path, to] of passing) {
        const clash = [...links.keys()].some((other) => path.startsWith(`${other}/`) || other.startsWith(`${path}/`));
        if (!clash) links.set(path, to);
      }
      for (const path of links.keys()) assert.notEqual(walk(links, path), 'outside', JSON.stringify([...links]));
      passed += links.size;
    }),
    { numRuns: RUNS },
  );
  assert.ok(passed > RUNS / 10, 'enough links pass for this to say something');
});

test('a link that leads out by itself never passes', () => {
  let out = 0;
  fc.assert(
    fc.property(linkPath, target, (path, to) => {
      if (walk(new Map([[path, to]]), path) !== 'outside') return;
      out++;
      assert.deepEqual(rules({ path, mode: '120000', target: to }), ['symlink']);
    }),
    { numRuns: RUNS },
  );
  assert.ok(out > RUNS / 20);
});

test('protected globs: any case, dot files, directories replaced by a link; look-alikes pass', () => {
  const globs = ['.github/workflows/**', 'CODEOWNERS', '**/.mcp.json', '.claude/**'];
  const isProtected = (facts: Partial<FileFacts>) => rules(facts, globs).includes('protected_path');
  for (const path of [
    ...['.github/workflows/ci.yml', '.GITHUB/Workflows/deep/ci.yml', '.github', '.github/workflows', 'codeowners'],
    ...['a/.mcp.json', '.mcp.json', '.claude/x', '.cl\u200caude/x', '.\uff23laude'],
  ]) {
    assert.ok(isProtected({ path }), path);
  }
  for (const path of [
    ...['github/workflows/ci.yml', '.github/ISSUE_TEMPLATE.md', 'src/CODEOWNERS', '.githubx', '.claude.md', 'mcp.json'],
  ]) {
    assert.ok(!isProtected({ path }), path);
  }
  assert.ok(isProtected({ path: '.github/workflows/ci.yml', change: 'deleted', mode: '000000' }));
});

test('dot directories are found at any depth, ordinary ones and dot files are not', () => {
  for (const path of ['.config/x', 'a/.hidden/b/c', '.github/scripts/x.sh', '.ssh/config', '..x/y'])
    assert.deepEqual(rules({ path }), ['dot_directory'], path);
  for (const path of [
    ...['.gitignore', 'a/.editorconfig', '.github/ISSUE_TEMPLATE/bug.md', '.github/PULL_REQUEST_TEMPLATE.md'],
    ...['.changeset/brave-cats.md', 'a.b/c', 'src/x.y/z'],
  ])
    assert.deepEqual(rules({ path }), [], path);
});

test('manifests and lock files are found by name, wherever they are', () => {
  for (const path of [
    ...['package.json', 'packages/a/package.json', 'package-lock.json', 'yarn.lock', 'pnpm-lock.yaml', 'bun.lock', '.npmrc'],
    ...['go.mod', 'go.sum', 'Cargo.toml', 'crates/x/Cargo.lock', 'pyproject.toml', 'requirements.txt', 'requirements-dev.txt'],
    ...['requirements/base.in', 'uv.lock', 'Pipfile.lock', 'Gemfile', 'x.gemspec', 'composer.lock', 'pom.xml', 'build.gradle'],
    ...['app/build.gradle.kts', 'src/App/App.csproj', 'mix.exs', 'flake.lock', 'Package.swift', 'GO.MOD'],
  ])
    assert.deepEqual(rules({ path }), ['manifest'], path);
  for (const path of ['src/package.ts', 'docs/requirements.md', 'my-package.json', 'cargo.rs', 'src/lock.ts'])
    assert.deepEqual(rules({ path }), [], path);
});

test('submodules, their definitions, odd modes, sizes and deceptive names are found; deletions of submodules are not', () => {
  assert.deepEqual(rules({ mode: '160000' }), ['submodule']);
  assert.deepEqual(rules({ change: 'deleted', mode: '000000', oldMode: '160000' }), []);
  assert.deepEqual(rules({ path: '.GitModules' }), ['submodule']);
  assert.deepEqual(rules({ mode: '100664' }), ['mode']);
  assert.deepEqual(rules({ mode: '100664', oldMode: '100664' }), []);
  assert.deepEqual(rules({ size: 601 }), ['large_file']);
  assert.deepEqual(rules({ path: 'a\u202etxt' }), ['path_unreadable']);
  assert.deepEqual(rules({ readable: false }), ['path_unreadable']);
  assert.deepEqual(rules({ path: 'wörd 🦊.txt' }), []);
});

test('paths that no file system takes are found', () => {
  assert.deepEqual(rules({ path: 'a'.repeat(256) }), ['path_unreadable']);
  assert.deepEqual(rules({ path: `${'ü'.repeat(128)}/x` }), ['path_unreadable']);
  assert.deepEqual(rules({ path: 'a'.repeat(255) }), []);
  assert.deepEqual(rules({ path: 'abcdefg/'.repeat(512).slice(0, -1) }), []);
  assert.deepEqual(rules({ path: `${'abcdefg/'.repeat(512)}a` }), ['path_unreadable']);
});

test('a file that becomes executable, and one that is no text, are found; one that was so, or goes, is not', () => {
  assert.deepEqual(rules({ mode: '100755' }), ['executable']);
  assert.deepEqual(rules({ mode: '100755', oldMode: '100755', change: 'modified' }), []);
  assert.deepEqual(rules({ mode: '100644', oldMode: '100755', change: 'mode' }), []);
  assert.deepEqual(rules({ binary: true }), ['binary']);
  assert.deepEqual(rules({ binary: true, change: 'deleted', mode: '000000' }), []);
});

test('the limit on all bytes is one on their sum', () => {
  const files = [file({ size: 600 }), file({ path: 'b', size: 401 })];
  assert.equal(tooLargeInAll(files, 1001), null);
  assert.equal(tooLargeInAll(files, 1000)?.rule, 'change_too_large');
});
