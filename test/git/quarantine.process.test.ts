import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { SCANNER } from '../../src/git/scan-secrets.ts';
import { fakeBundle, gitAs, POLICY, quarantineWorld, type World } from './quarantine-world.ts';

const rules = (report: { findings: readonly { rule: string }[] }): string[] =>
  [...new Set(report.findings.map((one) => one.rule))].sort();

test('an honest change is clean: files, modes, sizes, diff; its objects can then be committed', async (t) => {
  const world = await quarantineWorld(t);
  const src = world.rawTree([
    ['100755', 'a.txt', world.blob('one\n2\nthree\n')],
    ['100644', 'bin', world.blob(Buffer.from([0, 1, 2, 255]))],
    ['120000', 'link', world.blob('../README.md')],
  ]);
  const tree = world.rawTree(world.baseEntries.map((entry) => (entry[1] === 'src' ? ['40000', 'src', src] : entry)));
  const report = await world.check(world.bundle(tree), tree);
  assert.equal(report.verdict, 'clean');
  assert.equal(report.tree, tree);
  assert.deepEqual(report.files, [
    { path: 'src/a.txt', change: 'modified', mode: '100755', oldMode: '100644', size: 12, binary: false },
    { path: 'src/b.txt', change: 'deleted', mode: '000000', oldMode: '100644', size: 0, binary: false },
    { path: 'src/bin', change: 'added', mode: '100644', oldMode: '000000', size: 4, binary: true },
    { path: 'src/link', change: 'added', mode: '120000', oldMode: '000000', size: 12, binary: false },
  ]);
  assert.deepEqual(
    report.findings.map(({ rule, path, outcome }) => `${outcome} ${rule} ${path}`),
    ['note executable src/a.txt', 'note binary src/bin'],
  );
  assert.equal(report.scanner, SCANNER);
  assert.match(report.diff, /--- a\/src\/a\.txt\n\+\+\+ b\/src\/a\.txt\n@@ .*\n one\n-two\n\+2\n/);
  assert.equal(gitAs(world.quarantine.repository, ['cat-file', '-t', tree]), 'tree');
  assert.equal(gitAs(world.quarantine.repository, ['cat-file', 'blob', `${tree}:src/link`]), '../README.md');
  assert.deepEqual(readdirSync(join(world.root, 'quarantine')), ['repository.git']);
});

describe('hostile changes', () => {
  let world: World;
  const ending: (() => void | Promise<void>)[] = [];
  before(async () => {
    const context = { after: (fn: () => void | Promise<void>) => void ending.push(fn) };
    world = await quarantineWorld(context as Parameters<typeof quarantineWorld>[0]);
  });
  after(async () => {
    for (const end of ending.reverse()) await end();
  });

  /** Nothing of a refused change is on the trusted side. */
  const absent = (tree: string): void => assert.throws(() => gitAs(world.quarantine.repository, ['cat-file', '-e', tree]));
  const sorted = (entries: World['baseEntries'], extra: readonly [string, string | Buffer, string]) =>
    [...entries, extra].sort((a, b) => Buffer.compare(sortKey(a), sortKey(b)));
  const sortKey = ([mode, name]: readonly [string, string | Buffer, string]) =>
    Buffer.from(`${name}${mode === '40000' ? '/' : ''}`);

  for (const name of [
    '.git',
    '..',
    '.',
    '.GIT',
    '.Git',
    'git~1',
    '.git ',
    '.git.',
    '.git::$INDEX_ALLOCATION',
    '.g\u200cit',
    'a/b',
  ]) {
    test(`a tree with the name ${JSON.stringify(name)} is refused before anything is looked at`, async () => {
      const inner = world.rawTree([['100644', 'config', world.blob('[core]\n\tfsmonitor = touch /tmp/marker\n')]]);
      const tree = world.rawTree(sorted(world.baseEntries, ['40000', name, inner]));
      const report = await world.check(world.bundle(tree), tree);
      assert.deepEqual(rules(report), ['hostile_object'], JSON.stringify(report.findings));
      assert.deepEqual([report.verdict, report.tree, report.diff], ['refused', null, '']);
      absent(tree);
    });
  }

  test('the same tree with a harmless name is clean', async () => {
    const inner = world.rawTree([['100644', 'config', world.blob('[core]\n')]]);
    const tree = world.rawTree(sorted(world.baseEntries, ['40000', 'gitty', inner]));
    assert.equal((await world.check(world.bundle(tree), tree)).verdict, 'clean');
  });

  test('a linked .gitmodules and one that runs commands are refused', async () => {
    const linked = world.rawTree(sorted(world.baseEntries, ['120000', '.gitmodules', world.blob('README.md')]));
    assert.deepEqual(rules(await world.check(world.bundle(linked), linked)), ['hostile_object']);
    const text = '[submodule "../../x"]\n\tpath = x\n\turl = --upload-pack=touch\n';
    const running = world.rawTree(sorted(world.baseEntries, ['100644', '.gitmodules', world.blob(text)]));
    assert.deepEqual(rules(await world.check(world.bundle(running), running)), ['hostile_object']);
  });

  test('submodules and their definitions are found', async () => {
    const definition = world.blob('[submodule "x"]\n\tpath = x\n\turl = https://git.test/x.git\n');
    const entries = sorted(sorted(world.baseEntries, ['100644', '.gitmodules', definition]) as World['baseEntries'], [
      '160000',
      'x',
      world.base,
    ]);
    const tree = world.rawTree(entries);
    assert.deepEqual(rules(await world.check(world.bundle(tree), tree)), ['submodule']);
    absent(tree);
  });

  test('a link out of the tree is found', async () => {
    const src = world.rawTree([['120000', 'link', world.blob('../../outside')]]);
    const tree = world.rawTree(world.baseEntries.map((entry) => (entry[1] === 'src' ? ['40000', 'src', src] : entry)));
    assert.deepEqual(rules(await world.check(world.bundle(tree), tree)), ['symlink']);
    absent(tree);
  });

  test('protected paths are found whatever their case, and behind a link in their place', async () => {
    const protectedPaths = ['.github/workflows/**', 'AGENTS.md', '**/.mcp.json'];
    const without = world.baseEntries.filter(([, name]) => name !== '.github');
    const trees = [
      sorted(world.baseEntries, ['100644', 'agents.md', world.blob('x')]),
      sorted(world.baseEntries, ['40000', 'deep', world.rawTree([['100644', '.mcp.json', world.blob('{}')]])]),
      sorted(world.baseEntries, [
        '40000',
        '.GitHub',
        world.rawTree([['40000', 'Workflows', world.rawTree([['100644', 'x.yml', world.blob('x')]])]]),
      ]),
      sorted(without, ['120000', '.github', world.blob('src')]),
    ].map((entries) => world.rawTree(entries));
    for (const tree of trees) {
      const report = await world.check(world.bundle(tree), tree, { protectedPaths });
      assert.ok(rules(report).includes('protected_path'));
      assert.equal(report.verdict, 'held');
      assert.notEqual(report.diff, '');
      absent(tree);
    }
  });

  test('names that deceive the eye are found', async () => {
    for (const name of ['a\u202etxt.exe', 'line\nbreak', Buffer.from([0x66, 0xff, 0x66])]) {
      const tree = world.rawTree(sorted(world.baseEntries, ['100644', name, world.blob('x')]));
      assert.deepEqual(rules(await world.check(world.bundle(tree), tree)), ['path_unreadable']);
    }
  });

  test('too many files, too many bytes, too large a file and a tree that was not verified are found', async () => {
    const limits = { files: 3, bytes: 1000 };
    const many = world.rawTree([
      ...world.baseEntries.slice(0, 2),
      ...['s1', 's2', 's3', 's4'].map((name) => ['100644', name, world.blob(name)] as const),
    ]);
    assert.deepEqual(rules(await world.check(world.bundle(many), many, { limits })), ['too_many_files']);
    const large = world.rawTree(sorted(world.baseEntries, ['100644', 'x', world.blob('x'.repeat(700))]));
    const policy = { ...POLICY, largeFileBytes: 600, large_file: 'refuse' as const };
    assert.deepEqual(rules(await world.check(world.bundle(large), large, { policy })), ['large_file']);
    const sum = world.rawTree([
      ...world.baseEntries,
      ['100644', 'x', world.blob('x'.repeat(590))],
      ['100644', 'y', world.blob('y'.repeat(590))],
    ]);
    assert.deepEqual(rules(await world.check(world.bundle(sum), sum, { limits })), ['change_too_large']);
    const other = world.rawTree(sorted(world.baseEntries, ['100644', 'z', world.blob('z')]));
    assert.deepEqual(rules(await world.check(world.bundle(other), large)), ['wrong_tree']);
    for (const tree of [many, large, sum, other]) absent(tree);
  });

  test('another base, more parents, more commits, another ref, and what is no bundle at all are refused', async () => {
    const tree = world.rawTree(sorted(world.baseEntries, ['100644', 'z', world.blob('zz')]));
    const side = gitAs(world.upstream, ['commit-tree', '-m', 'side', '-p', world.base, `${world.base}^{tree}`]);
    const foreign = gitAs(world.upstream, ['commit-tree', '-m', 'foreign', `${world.base}^{tree}`]);
    const cases: [string, string][] = [
      [world.bundle(tree, { parents: [side] }), 'wrong_history'],
      [world.bundle(tree, { parents: [world.base, side] }), 'wrong_history'],
      [world.bundle(tree, { parents: [foreign], prerequisites: [foreign] }), 'wrong_base'],
      [world.bundle(tree, { parents: [], prerequisites: [] }), 'wrong_base'],
      [world.bundle(tree, { ref: 'refs/heads/main2' }), 'bundle_unreadable'],
      [fakeBundle(world, ''), 'bundle_unreadable'],
      [fakeBundle(world, '# v2 git bundle\n'), 'bundle_unreadable'],
      [fakeBundle(world, '\0'.repeat(1000)), 'bundle_unreadable'],
    ];
    for (const [bundle, rule] of cases) {
      const report = await world.check(bundle, tree);
      assert.equal(report.verdict, 'refused');
      assert.deepEqual(rules(report), [rule], bundle);
    }
    const whole = readFileSync(world.bundle(tree));
    for (const cut of [
      whole.subarray(0, whole.length - 30),
      Buffer.concat([whole.subarray(0, -25), Buffer.from('x'), whole.subarray(-24)]),
    ]) {
      assert.deepEqual(rules(await world.check(fakeBundle(world, cut), tree)), ['objects_unreadable']);
    }
    assert.equal((await world.check(fakeBundle(world, whole), tree)).verdict, 'clean');
  });

  test('a tree that names a blob which is nowhere is refused', async () => {
    const tree = world.rawTree(sorted(world.baseEntries, ['100644', 'z', world.blob('will be left out')]));
    const commit = gitAs(world.upstream, ['commit-tree', '-m', 'x', '-p', world.base, tree]);
    const pack = Buffer.from(gitPack(world, `${commit}\n${tree}\n`));
    const header = `# v2 git bundle\n-${world.base} x\n${commit} refs/heads/change\n\n`;
    const report = await world.check(fakeBundle(world, Buffer.concat([Buffer.from(header), pack])), tree);
    assert.deepEqual(rules(report), ['objects_unreadable']);
  });

  test('a marker is nowhere, and the base is still whole', () => {
    assert.ok(!existsSync('/tmp/marker'));
    assert.equal(gitAs(world.quarantine.repository, ['fsck', '--strict', '--no-dangling']), '');
  });
});

function gitPack(world: World, ids: string): Buffer {
  const file = join(world.root, 'by-hand');
  const name = gitAs(world.upstream, ['pack-objects', '--quiet', file], ids);
  return readFileSync(`${file}-${name}.pack`);
}
