import assert from 'node:assert/strict';
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { changedFiles } from '../../src/agent/verify/changes.ts';
import { planYardstick, putBaseYardstickBack } from '../../src/agent/verify/yardstick.ts';
import { DEFAULT_YARDSTICK } from '../../src/policy/yardstick.ts';
import { type Files, repository } from './repository.ts';

const json = (value: unknown): string => JSON.stringify(value, null, 2);

/** Puts the base's yardstick back over a change; gives the listed edits and the files as they then are. */
async function measured(t: TestContext, base: Files, change: Files) {
  const repo = await repository(t, base);
  repo.apply(repo.commit(change));
  const files = await changedFiles(repo.context, repo.base);
  const edits = await putBaseYardstickBack(repo.context, { base: repo.base, files, yardstick: DEFAULT_YARDSTICK });
  return { edits, repo, text: (path: string) => (existsSync(repo.at(path)) ? readFileSync(repo.at(path), 'utf8') : null) };
}

test('edited and deleted tests come back, new tests and the rest of the change stay', async (t) => {
  const { edits, text } = await measured(
    t,
    { 'src/a.js': 'old', 'test/a.test.js': 'base', 'test/b.test.js': 'base b', 'test/c.js': 'moved', Makefile: 'test:\n\tbase' },
    {
      'src/a.js': 'new',
      'test/a.test.js': 'weaker',
      'test/b.test.js': null,
      'test/c.js': null,
      'test/d.js': 'moved',
      'test/new.test.js': 'new',
      Makefile: 'test:\n\ttrue',
    },
  );
  assert.deepEqual(edits, ['Makefile', 'test/a.test.js', 'test/b.test.js', 'test/c.js']);
  assert.equal(text('test/a.test.js'), 'base');
  assert.equal(text('test/b.test.js'), 'base b');
  assert.equal(text('test/c.js'), 'moved');
  assert.equal(text('test/d.js'), 'moved');
  assert.equal(text('test/new.test.js'), 'new');
  assert.equal(text('src/a.js'), 'new');
  assert.equal(text('Makefile'), 'test:\n\tbase');
});

test('package.json: scripts and test settings come back, dependencies and the rest stay', async (t) => {
  const base = { name: 'a', scripts: { test: 'node --test' }, dependencies: { x: '1' }, mocha: { spec: 'test' } };
  const own = { name: 'b', scripts: { test: 'exit 0', extra: 'x' }, dependencies: { x: '1', y: '2' }, jest: { testMatch: [] } };
  const { edits, text } = await measured(t, { 'package.json': json(base) }, { 'package.json': json(own) });
  assert.deepEqual(edits, ['package.json']);
  const { scripts, mocha } = base;
  assert.deepEqual(JSON.parse(text('package.json') ?? ''), { name: 'b', dependencies: { x: '1', y: '2' }, scripts, mocha });
});

test('an added dependency or test alone is no edit, and leaves every byte', async (t) => {
  const own = '{"scripts": {"test": "x"},   "dependencies": {"y": "é"}}';
  const toml =
    '[project]\ndependencies = ["new"]\n[tool.pytest.ini_options]\naddopts = "-q"\n[tool.poetry.dependencies]\nnew = "1"\n';
  const { edits, text, repo } = await measured(
    t,
    {
      'package.json': json({ scripts: { test: 'x' } }),
      'pyproject.toml': '[tool.pytest.ini_options]\naddopts = "-q"\n',
      'package-lock.json': '{}',
    },
    { 'package.json': own, 'pyproject.toml': toml, 'package-lock.json': '{"a": 1}', 'test/added.test.js': 'x' },
  );
  assert.deepEqual(edits, []);
  assert.equal(text('package.json'), own);
  assert.equal(text('pyproject.toml'), toml);
  assert.equal(repo.git('status', '--porcelain'), '');
});

test('pyproject.toml: tool tables come back, dependency tables and the project stay', async (t) => {
  const { edits, text } = await measured(
    t,
    {
      'pyproject.toml':
        '[project]\nname = "a"\n\n[tool.pytest.ini_options]\naddopts = "-q"\n\n[tool.poetry.dependencies]\nold = "1"\n',
    },
    {
      'pyproject.toml':
        '[tool.poetry.dependencies]\nnew = "2"\n\n[tool.pytest.ini_options]\naddopts = "--co"\n\n[tool.ruff]\nselect = []\n\n[project]\nname = "b"',
    },
  );
  assert.deepEqual(edits, ['pyproject.toml']);
  assert.equal(
    text('pyproject.toml'),
    '[tool.poetry.dependencies]\nnew = "2"\n\n[project]\nname = "b"\n[tool.pytest.ini_options]\naddopts = "-q"\n\n',
  );
});

test('text that only looks like a table is not torn apart', async (t) => {
  const base = '[tool.pytest.ini_options]\naddopts = "-q"\n';
  const own = '[project]\nreadme = """\n[tool.fake]\nx\n[end]\n"""\n[tool.pytest.ini_options]\naddopts = "--co"\n';
  const { text } = await measured(t, { 'pyproject.toml': base }, { 'pyproject.toml': own });
  assert.equal(text('pyproject.toml'), base);
});

test('what cannot be merged is replaced by the base’s file as a whole', async (t) => {
  const dotted = 'tool.pytest.ini_options.addopts = "--co"\n[project]\nname = "b"\n';
  const base: Files = {
    'package.json': '{"scripts": {}}',
    'a/package.json': '{"scripts": {}}',
    'pyproject.toml': '[tool.pytest.ini_options]\naddopts = "-q"\n',
    'b/package.json': '{"scripts": {}}',
  };
  const { edits, text, repo } = await measured(t, base, {
    'package.json': '{ broken',
    'a/package.json': null,
    'pyproject.toml': dotted,
    'b/package.json': { link: '/etc/passwd' },
  });
  assert.deepEqual(edits, ['a/package.json', 'b/package.json', 'package.json', 'pyproject.toml']);
  for (const [path, content] of Object.entries(base)) assert.equal(text(path), content, path);
  assert.ok(lstatSync(repo.at('b/package.json')).isFile());
});

test('new definitions that would override the base’s go; those of new folders stay', async (t) => {
  const { edits, text } = await measured(
    t,
    { Makefile: 'base', 'src/a.py': '' },
    {
      GNUmakefile: 'test:\n\ttrue',
      '.npmrc': 'script-shell=true',
      'src/conftest.py': 'skip',
      'new/tsconfig.json': '{}',
      'new/b.ts': '',
    },
  );
  assert.deepEqual(edits, ['.npmrc', 'GNUmakefile', 'src/conftest.py']);
  for (const path of edits) assert.equal(text(path), null, path);
  assert.equal(text('new/tsconfig.json'), '{}');
  assert.equal(text('Makefile'), 'base');
});

test('modes, links in the place of tests, and hostile names come back too', async (t) => {
  const names = ['test/-rf', 'test/:(top)x', 'test/a b', 'test/new\nline', 'test/🦊', 'test/"q"', 'test/*'];
  const base: Files = {
    'test/run.sh': { text: 'exit 1', mode: 0o755 },
    'test/a.js': 'base',
    ...Object.fromEntries(names.map((name) => [name, 'base'])),
  };
  const { edits, text, repo } = await measured(t, base, {
    'test/run.sh': { text: 'exit 1', mode: 0o644 },
    'test/a.js': { link: '../elsewhere' },
    ...Object.fromEntries(names.map((name) => [name, 'own'])),
  });
  assert.deepEqual(edits, ['test/run.sh', 'test/a.js', ...names].sort());
  for (const name of names) assert.equal(text(name), 'base', name);
  assert.ok(lstatSync(repo.at('test/a.js')).isFile());
  assert.equal(lstatSync(repo.at('test/run.sh')).mode & 0o111, 0o111);
});

test('a folder in the place of a test file makes way', async (t) => {
  const { edits, text } = await measured(t, { 'test.sh': 'base' }, { 'test.sh': null, 'test.sh/x': 'own' });
  assert.deepEqual(edits, ['test.sh']);
  assert.equal(text('test.sh'), 'base');
});

test('the plan: what is restored, removed and merged', () => {
  const plan = planYardstick(
    [
      { status: 'M', path: 'package.json' },
      { status: 'D', path: 'sub/package.json' },
      { status: 'A', path: 'new/package.json' },
      { status: 'M', path: 'test/fixtures/package.json' },
      { status: 'A', path: 'jest.config.js' },
      { status: 'A', path: 'deep/new/jest.config.js' },
      { status: 'A', path: 'test/x.js' },
      { status: 'M', path: 'src/x.js' },
    ],
    DEFAULT_YARDSTICK,
    new Set(['', 'sub/', 'deep/']),
  );
  assert.deepEqual(plan, {
    restore: ['sub/package.json', 'test/fixtures/package.json'],
    remove: ['jest.config.js'],
    merge: ['package.json'],
  });
});
