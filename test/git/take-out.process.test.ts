import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkoutCommands, type LayIn, layIn } from '../../src/git/lay-in.ts';
import { applyCommand, bundleCommand, readApplied, readTakeOut, stageCommand, untrackedCommand } from '../../src/git/take-out.ts';
import { inside } from './inside.ts';
import { bareRepository, commitFiles, gitAs, temporary } from './repositories.ts';

const signal = AbortSignal.timeout(60_000);
const FILES = {
  '.gitignore': 'node_modules/\n*.log\n',
  '.gitattributes': '*.bin filter=lfs diff=lfs -text\n',
  'src/a.txt': 'one\n',
  'src/b.txt': 'two\n',
  'kept.log': 'tracked though ignored\n',
  'data.bin': 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n',
};

type Test = Parameters<typeof temporary>[0];

async function laidIn(laid: LayIn, sha: string, root: string): Promise<string> {
  const workTree = join(mkdtempSync(join(root, 'sandbox-')), 'repo');
  for (const command of checkoutCommands({ sha, workTree })) {
    const run = await inside(command, command.stdin === 'tar' ? laid.stream() : undefined);
    assert.equal(run.code, 0, run.stderr);
  }
  return workTree;
}

async function world(t: Test) {
  const root = temporary(t);
  const upstream = bareRepository(root, 'upstream', { 'src/a.txt': 'zero\n' });
  const sha = commitFiles(upstream.path, FILES, [upstream.sha]);
  gitAs(upstream.path, ['update-ref', 'refs/heads/main', sha]);
  const laid = await layIn(
    { path: upstream.path, update: async () => {} },
    { sha, ref: 'main', depth: 1, originUrl: 'http://git.coatcheck.internal/acme/widget.git', byteLimit: 1 << 24, signal },
  );
  t.after(async () => laid[Symbol.asyncDispose]());
  const workTree = await laidIn(laid, sha, root);
  return { root, sha, laid, workTree, parent: upstream.sha, options: { base: sha, workTree, scratch: join(root, 'out.git') } };
}

async function takeOut(
  options: Parameters<typeof stageCommand>[0],
  environment: Record<string, string> = {},
  untracked: Buffer = Buffer.alloc(0),
) {
  const staged = await inside(stageCommand(options), untracked, environment);
  assert.equal(staged.code, 0, staged.stderr);
  const taken = readTakeOut(staged.stdout);
  const bundle = taken.kind === 'change' ? await inside(bundleCommand(options), undefined, environment) : null;
  assert.ok(bundle === null || bundle.code === 0, bundle?.stderr);
  return { taken, bundle: bundle?.stdout ?? Buffer.alloc(0) };
}

const namesIn = (gitDirectory: string, tree: string): string[] =>
  gitAs(gitDirectory, ['ls-tree', '-r', '--name-only', tree]).split('\n');

test('a laid-in repository is checked out, clean, shallow, on its own branch, without hooks or credentials', async (t) => {
  const { sha, workTree } = await world(t);
  assert.equal(readFileSync(join(workTree, 'src/b.txt'), 'utf8'), 'two\n');
  assert.equal(readFileSync(join(workTree, 'data.bin'), 'utf8'), FILES['data.bin']);
  assert.equal(gitAs(workTree, ['status', '--porcelain']), '');
  assert.equal(gitAs(workTree, ['symbolic-ref', 'HEAD']), 'refs/heads/coatcheck');
  assert.equal(gitAs(workTree, ['rev-parse', 'refs/remotes/origin/main']), sha);
  assert.equal(gitAs(workTree, ['rev-list', '--count', 'HEAD']), '1');
  assert.equal(gitAs(workTree, ['config', 'remote.origin.url']), 'http://git.coatcheck.internal/acme/widget.git');
  assert.ok(!existsSync(join(workTree, '.git/hooks')));
});

test('an untouched work tree has nothing to take out, also after a set-up that made ignored files', async (t) => {
  const { workTree, options } = await world(t);
  mkdirSync(join(workTree, 'node_modules/x'), { recursive: true });
  writeFileSync(join(workTree, 'node_modules/x/index.js'), '1');
  assert.deepEqual((await takeOut(options)).taken, { kind: 'nothing', leftOut: [] });
});

test("edits, additions, deletions, modes, links and the agent's own commits come out, and into a clean room", async (t) => {
  const { root, sha, laid, workTree, options } = await world(t);
  writeFileSync(join(workTree, 'src/a.txt'), 'changed\n');
  writeFileSync(join(workTree, 'src/wörd\nline.txt'), 'odd name\n');
  writeFileSync(join(workTree, 'kept.log'), 'still tracked\n');
  writeFileSync(join(workTree, 'new.log'), 'ignored\n');
  writeFileSync(join(workTree, 'big.bin'), 'not smudged\n');
  chmodSync(join(workTree, 'data.bin'), 0o755);
  symlinkSync('src/a.txt', join(workTree, 'link'));
  rmSync(join(workTree, 'src/b.txt'));
  gitAs(workTree, ['commit', '--quiet', '-am', 'forged', '--author=Somebody Else <else@people.test>']);
  const { taken, bundle } = await takeOut(options);
  assert.ok(taken.kind === 'change');
  const fresh = await laidIn(laid, sha, root);
  writeFileSync(join(fresh, 'untracked-by-set-up'), 'stays');
  const applied = await inside(applyCommand({ base: sha, workTree: fresh }), bundle);
  assert.equal(applied.code, 0, applied.stderr);
  assert.equal(readApplied(applied.stdout), taken.tree);
  assert.deepEqual(
    gitAs(fresh, ['diff-tree', '-r', '-z', '--name-status', '--no-renames', sha, taken.tree]).split('\0').slice(0, -1),
    [
      ...[
        'A',
        'big.bin',
        'M',
        'data.bin',
        'M',
        'kept.log',
        'A',
        'link',
        'M',
        'src/a.txt',
        'D',
        'src/b.txt',
        'A',
        'src/wörd\nline.txt',
      ],
    ],
  );
  assert.equal(gitAs(fresh, ['log', '-1', '--format=%an %ae %P', taken.head]), `sandbox sandbox@coatcheck.invalid ${sha}`);
  assert.ok(existsSync(join(fresh, 'untracked-by-set-up')));
});

test('hooks, filters, attributes, index flags and configuration of the agent do not count, and run nothing', async (t) => {
  const { root, workTree, options } = await world(t);
  const marker = join(root, 'marker');
  const home = mkdtempSync(join(root, 'home-'));
  const touch = `touch ${marker}; cat`;
  const hostile = `[core]\n\tfsmonitor = ${touch}\n\thooksPath = ${root}/hooks\n\tpager = ${touch}\n[filter "lfs"]\n\tclean = "${touch}"\n\tsmudge = "${touch}"\n\tprocess = "${touch}"\n[diff]\n\texternal = ${touch}\n[filter "all"]\n\tclean = "${touch}"\n`;
  writeFileSync(join(home, '.gitconfig'), hostile);
  writeFileSync(join(workTree, '.git/config'), `${readFileSync(join(workTree, '.git/config'), 'utf8')}${hostile}`);
  mkdirSync(join(workTree, '.git/info'), { recursive: true });
  writeFileSync(join(workTree, '.git/info/attributes'), '* filter=all\n');
  writeFileSync(join(workTree, '.git/info/exclude'), '*\n');
  mkdirSync(join(root, 'hooks'));
  for (const hook of ['pre-commit', 'post-commit', 'reference-transaction', 'post-index-change']) {
    writeFileSync(join(root, 'hooks', hook), `#!/bin/sh\n${touch}\n`, { mode: 0o755 });
  }
  writeFileSync(join(workTree, 'src/a.txt'), 'changed\n');
  writeFileSync(join(workTree, 'more.bin'), 'new\n');
  execFileSync('git', [
    '-C',
    workTree,
    '-c',
    'core.fsmonitor=false',
    '-c',
    'core.hooksPath=/dev/null',
    'update-index',
    '--assume-unchanged',
    'src/a.txt',
  ]);
  rmSync(marker, { force: true });
  const { taken } = await takeOut(options, { HOME: home });
  assert.ok(taken.kind === 'change');
  assert.ok(!existsSync(marker));
  assert.deepEqual(namesIn(options.scratch, taken.tree).includes('more.bin'), true);
  assert.equal(gitAs(options.scratch, ['cat-file', 'blob', `${taken.tree}:src/a.txt`]), 'changed');
  // The same traps do spring for a git that reads the agent's configuration.
  execFileSync('git', ['-C', workTree, 'status'], { env: { PATH: '/usr/bin:/bin', HOME: home }, stdio: 'ignore' });
  assert.ok(existsSync(marker));
});

test('repositories that the agent made inside the tree are left out and named', async (t) => {
  const { workTree, options } = await world(t);
  for (const name of ['with-commit', 'bare of commits', ':(exclude)odd']) {
    mkdirSync(join(workTree, name));
    gitAs(join(workTree, name), ['init', '--quiet']);
    writeFileSync(join(workTree, name, 'x.txt'), 'x');
  }
  gitAs(join(workTree, 'with-commit'), ['commit', '--quiet', '--allow-empty', '-m', 'x']);
  writeFileSync(join(workTree, 'src/c.txt'), 'three\n');
  const { taken } = await takeOut(options);
  assert.ok(taken.kind === 'change');
  assert.deepEqual([...taken.leftOut].sort(), [':(exclude)odd', 'bare of commits', 'with-commit']);
  assert.deepEqual(namesIn(options.scratch, taken.tree).sort(), [...Object.keys(FILES), 'src/c.txt'].sort());
});

test('what set-up and baseline left untracked is no part of the change, whatever its name and whatever is added to it', async (t) => {
  const { workTree, options } = await world(t);
  const made = ['out/app.o', 'src/gen erated.txt', 'src/odd\nname"\'', '-dash', ':(exclude)*', 'docs/new/deep/x', '*.star'];
  for (const name of made) {
    mkdirSync(join(workTree, name, '..'), { recursive: true });
    writeFileSync(join(workTree, name), 'made by set-up');
  }
  mkdirSync(join(workTree, 'empty'));
  writeFileSync(join(workTree, 'ignored.log'), 'ignored');
  // Set-up may even have added them to its own index, and put hooks and ignore rules in place.
  gitAs(workTree, ['add', '--', 'src/gen erated.txt']);
  mkdirSync(join(workTree, '.git/info'), { recursive: true });
  writeFileSync(join(workTree, '.git/info/exclude'), 'out\n');
  const listing = { ...options, scratch: `${options.scratch}-list` };
  const listed = await inside(untrackedCommand(listing));
  assert.equal(listed.code, 0, listed.stderr);
  const names = listed.stdout.toString('utf8').split('\0').slice(0, -1);
  assert.deepEqual(names.sort(), [...made.filter((name) => !/^(?:out|docs)/.test(name)), 'docs/', 'out/'].sort());
  assert.ok(!existsSync(listing.scratch));

  assert.deepEqual((await takeOut(options, {}, listed.stdout)).taken.kind, 'nothing');
  writeFileSync(join(workTree, 'src/gen erated.txt'), 'and changed by the agent');
  writeFileSync(join(workTree, 'out/more.o'), 'made by a later build');
  for (const [name, text] of [
    ['src/a.txt', 'changed\n'],
    ['empty/new.txt', 'new\n'],
    ['x.star', 'not the same as *.star\n'],
    ['outer', 'not out/\n'],
  ] as const)
    writeFileSync(join(workTree, name), text);
  const again = { ...options, scratch: `${options.scratch}-2` };
  const { taken } = await takeOut(again, {}, listed.stdout);
  assert.ok(taken.kind === 'change');
  const added = namesIn(again.scratch, taken.tree).filter((name) => !(name in FILES));
  assert.deepEqual(added.sort(), ['empty/new.txt', 'outer', 'x.star']);
  assert.ok(taken.leftOut.includes('out') && taken.leftOut.includes('-dash'), taken.leftOut.join());
  // Without the list they would be in it.
  const without = { ...options, scratch: `${options.scratch}-3` };
  const all = await takeOut(without);
  assert.ok(all.taken.kind === 'change' && namesIn(without.scratch, all.taken.tree).includes('out/app.o'));
});

test('a submodule of the base stays as it is', async (t) => {
  const root = temporary(t);
  const upstream = bareRepository(root, 'upstream', FILES);
  const entries = gitAs(upstream.path, ['ls-tree', upstream.sha]);
  const tree = gitAs(upstream.path, ['mktree', '--missing'], `${entries}\n160000 commit ${upstream.sha}\tmodule\n`);
  const sha = gitAs(upstream.path, ['commit-tree', '-m', 'with a submodule', tree]);
  gitAs(upstream.path, ['update-ref', 'refs/heads/main', sha]);
  const laid = await layIn(
    { path: upstream.path, update: async () => {} },
    { sha, ref: 'main', originUrl: 'http://git.coatcheck.internal/a/b.git', byteLimit: 1 << 24, signal },
  );
  t.after(async () => laid[Symbol.asyncDispose]());
  const workTree = await laidIn(laid, sha, root);
  const options = { base: sha, workTree, scratch: join(root, 'out.git') };
  assert.deepEqual((await takeOut(options)).taken, { kind: 'nothing', leftOut: [] });
});

test('a destroyed .git is said plainly, with its own exit code', async (t) => {
  const { workTree, options } = await world(t);
  rmSync(join(workTree, '.git'), { recursive: true });
  const staged = await inside(stageCommand(options));
  assert.equal(staged.code, 3);
  assert.match(staged.stderr, /base commit is gone/);
});

test('anything but the documented lines is refused', () => {
  const id = 'a'.repeat(40);
  assert.deepEqual(readTakeOut(Buffer.from(`tree ${id}\nhead ${id}\n`)), { kind: 'change', tree: id, head: id, leftOut: [] });
  for (const text of [
    '',
    'nothing',
    `tree ${id}\n`,
    `tree ${id}\nhead ${id}\nnothing\n`,
    `tree ${id}\nhead $(id)\n`,
    `head ${id}\ntree ${id}\n`,
  ]) {
    assert.throws(() => readTakeOut(Buffer.from(text)), { code: 'take_out_failed' }, text);
  }
  assert.throws(() => stageCommand({ base: '--help', workTree: '/w', scratch: '/s' }));
});
