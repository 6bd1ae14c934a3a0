import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROTECTED_PATHS, protectedPaths, protectionOf } from '../../src/policy/protected.ts';

const protectedAmong = (paths: readonly string[], globs: readonly string[] = PROTECTED_PATHS) =>
  paths.filter((path) => protectionOf(globs)(path) !== null);

test('what runs with rights, decides on review or instructs agents is protected, in any case', () => {
  for (const path of [
    '.github/workflows/ci.yml',
    '.GitHub/Workflows/CI.YML',
    '.github/actions/x/action.yml',
    'tools/my-action/action.yml',
    'CODEOWNERS',
    '.github/CODEOWNERS',
    'docs/codeowners',
    'tembo.md',
    'AGENTS.md',
    'packages/a/CLAUDE.md',
    'agents.md',
    '.mcp.json',
    '.claude/settings.json',
    'sub/.claude/hooks/x.sh',
    '.github/coatcheck.yml',
    '.cursorrules',
    '.cursor/rules/x.mdc',
    '.github/copilot-instructions.md',
    '.vscode/tasks.json',
    '.husky/pre-commit',
    '.gitmodules',
    '.gitattributes',
    'a/.gitattributes',
    '.devcontainer/devcontainer.json',
    '.github/workflows/a\nb.yml',
    'a\n/.vscode/b\u2028c',
    '.cl\u200caude/settings.json',
    '.v\uff53code/tasks.json',
    '\ud83e\udd8a/.mcp.json',
  ]) {
    assert.deepEqual(protectedAmong([path]), [path]);
  }
});

test('ordinary files are not', () => {
  const paths = [
    'src/index.ts',
    'README.md',
    'docs/guide.md',
    '.gitignore',
    'package.json',
    '.github/ISSUE_TEMPLATE/bug.md',
    'src/codeowners.ts',
    'agents/run.md',
  ];
  assert.deepEqual(protectedAmong(paths), []);
});

test('additions add and nothing is taken away', () => {
  const globs = protectedPaths(['infra/**'], ['*.tf']);
  assert.deepEqual(protectedAmong(['infra/.hidden/x', 'a.tf', 'b/a.tf', 'CODEOWNERS'], globs), [
    'infra/.hidden/x',
    'a.tf',
    'CODEOWNERS',
  ]);
});
