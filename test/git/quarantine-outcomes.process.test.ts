/** What policy makes of a change, and what the scan for secrets says of it, in the cage. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { QuarantineReport } from '../../src/git/judge-change.ts';
import { SCANNER, scanSecrets } from '../../src/git/scan-secrets.ts';
import type { QuarantineOutcome } from '../../src/policy/quarantine.ts';
import { gitAs, MiB, POLICY, quarantineWorld, type World } from './quarantine-world.ts';
import { madeUp, SECRETS } from './secret-samples.ts';

const OLD_SECRET = `npm_${madeUp(36)}`;
const NEW_SECRET = `ghp_${madeUp(36)}`;
const ending: (() => void | Promise<void>)[] = [];
let world: World;

before(async () => {
  const context = { after: (fn: () => void | Promise<void>) => void ending.push(fn) };
  const files = { 'old.txt': `a\nold = ${OLD_SECRET}\nb\n`, 'README.md': 'x\n' };
  world = await quarantineWorld(context as Parameters<typeof quarantineWorld>[0], files);
});
after(async () => {
  for (const end of ending.reverse()) await end();
});

type Entry = readonly [mode: string, name: string, content: string | Buffer];

/** The base with these files at its root, in place of those of the same name; content null takes one away. */
function treeWith(...entries: readonly Entry[]): string {
  const names = new Set(entries.map(([, name]) => name));
  const made = entries.map(([mode, name, content]) => [mode, name, world.blob(content)] as const);
  const all = [...world.baseEntries.filter(([, name]) => !names.has(name)), ...made];
  return world.rawTree(all.sort((a, b) => Buffer.compare(Buffer.from(a[1]), Buffer.from(b[1]))));
}

const check = (tree: string, options = {}): Promise<QuarantineReport> => world.check(world.bundle(tree), tree, options);
const told = ({ findings }: QuarantineReport): string[] =>
  findings.map(({ outcome, rule, path }) => `${outcome} ${rule} ${path}`);
const adopted = (tree: string): boolean => {
  try {
    return gitAs(world.quarantine.repository, ['cat-file', '-t', tree]) === 'tree';
  } catch {
    return false;
  }
};

test('the strictest outcome decides, and policy says which it is', async () => {
  const tree = treeWith(['100755', 'package.json', '{}\n'], ['100644', 'picture', Buffer.from([0, 1, 2, 255])]);
  const by = async (manifest: QuarantineOutcome, executable: QuarantineOutcome) => {
    const report = await check(tree, { policy: { ...POLICY, manifest, executable } });
    assert.deepEqual(told(report), [
      `${executable} executable package.json`,
      `${manifest} manifest package.json`,
      'note binary picture',
    ]);
    return report.verdict;
  };
  assert.equal(await by('refuse', 'hold'), 'refused');
  assert.equal(await by('note', 'hold'), 'held');
  assert.ok(!adopted(tree), 'nothing that is held can be pushed');
  assert.equal(await by('note', 'note'), 'clean');
  assert.ok(adopted(tree));
});

test('no policy softens what is unsound', async () => {
  const soft = Object.fromEntries(Object.keys(POLICY).map((kind) => [kind, 'note']));
  const policy = { ...POLICY, ...soft, largeFileBytes: 2 * MiB };
  const deceptive = treeWith(['100644', 'a\u202etxt', 'x']);
  assert.deepEqual(told(await check(deceptive, { policy })), ['refuse path_unreadable a\u202etxt']);
  const many = treeWith(['100644', 'x', 'x'], ['100644', 'y', 'y']);
  assert.deepEqual(told(await check(many, { policy, limits: { files: 1, bytes: MiB } })), ['refuse too_many_files ']);
  assert.deepEqual(told(await check(many, { policy, limits: { files: 9, bytes: 1 } })), ['refuse change_too_large ']);
});

test('a secret in an added line is held, named by file, line and rule, and shown nowhere', async () => {
  const report = await check(treeWith(['100644', 'conf', `one\ntoken: ${NEW_SECRET}\n`]));
  assert.deepEqual([report.verdict, report.scanner], ['held', SCANNER]);
  assert.deepEqual(
    report.findings.map(({ rule, path, detail }) => `${rule} ${path} ${detail}`),
    ['secret conf Line 2: github GITHUB_TOKEN.'],
  );
  assert.match(report.diff, /^\+token: \[secret: github GITHUB_TOKEN\]$/m);
  assert.ok(!JSON.stringify(report).includes(NEW_SECRET));
  assert.match(SCANNER, /^@secretlint\/secretlint-rule-preset-recommend \d+\.\d+\.\d+\+\d+$/);
});

test('what stood in the base, stays, moves or goes is no finding', async () => {
  const edited = treeWith(['100644', 'old.txt', `A\nold = ${OLD_SECRET}\nb\nc\n`]);
  assert.deepEqual(told(await check(edited)), []);
  const moved = treeWith(['100644', 'old.txt', 'a\n'], ['100644', 'new.txt', `# kept here now\nnew = ${OLD_SECRET}\n`]);
  assert.deepEqual(told(await check(moved)), []);
  const copied = treeWith(['100644', 'new.txt', `new = ${OLD_SECRET}\n`]);
  assert.deepEqual(told(await check(copied)), ['hold secret new.txt']);
});

test('a zero byte, a link and an odd name do not hide a secret; attributes of the tree do not either', async () => {
  const binary = treeWith(['100644', 'bin', `\0\n${NEW_SECRET}\n`]);
  assert.deepEqual(told(await check(binary)), ['note binary bin', 'hold secret bin']);
  const link = treeWith(['120000', 'link', NEW_SECRET]);
  assert.deepEqual(told(await check(link)), ['hold secret link']);
  const name = 'ö "x" \\ y';
  assert.deepEqual(told(await check(treeWith(['100644', name, NEW_SECRET]))), [`hold secret ${name}`]);
  const attributes = treeWith(['100644', '.gitattributes', '* binary -diff\n'], ['100644', 'a', `${NEW_SECRET}\n`]);
  assert.deepEqual(told(await check(attributes)), ['hold secret a']);
});

test('every kind of secret is found in the cage as outside of it', async () => {
  const samples = Object.entries(SECRETS);
  const tree = treeWith(...samples.map(([, [, secret]], i) => ['100644', `f${i}`, `${secret}\n`] as const));
  const { findings } = await check(tree);
  for (const [i, [name, [rule]]] of samples.entries()) {
    const detail = findings.find((one) => one.rule === 'secret' && one.path === `f${i}`)?.detail ?? '';
    assert.match(detail.replace('Line 1: ', ''), rule, name);
  }
});

test('a scan that is not carried out to its end is a hold, whatever policy says of secrets', async () => {
  const tree = treeWith(['100644', 'a', `${NEW_SECRET}\n`]);
  const policy = { ...POLICY, secret: 'note' as const };
  assert.equal((await check(tree, { policy })).verdict, 'clean');
  const other = treeWith(['100644', 'b', `${NEW_SECRET}\n`]);
  const starved = await check(other, { policy, scanCaps: { heapMiB: 1, cpuSeconds: 5, wallMs: 10_000 } });
  assert.deepEqual([starved.verdict, told(starved)], ['held', ['note secret b', 'hold not_scanned ']]);
  assert.ok(!starved.diff.includes(NEW_SECRET));
  const refusing = await check(other, {
    policy: { ...POLICY, secret: 'refuse' },
    scanCaps: { heapMiB: 1, cpuSeconds: 5, wallMs: 10_000 },
  });
  assert.equal(refusing.verdict, 'refused');
});

test('a change longer than a scan is held, with what its beginning holds', async () => {
  const filler = 'some words of no meaning\n'.repeat(370_000);
  const tree = treeWith(['100644', 'a', `${NEW_SECRET}\n${filler}`], ['100644', 'b', filler], ['100644', 'c', filler]);
  const report = await check(tree, { limits: { files: 10, bytes: 64 * MiB }, policy: { ...POLICY, large_file: 'note' } });
  assert.equal(report.verdict, 'held');
  assert.deepEqual(
    told(report).filter((one) => !one.includes('large_file')),
    ['hold secret a', 'hold not_scanned '],
  );
});

test('bytes of no text do not use up the scan', async () => {
  const bulk = Buffer.alloc(9 * MiB, 'a\0b\n');
  const tree = treeWith(
    ['100644', 'a.bin', bulk],
    ['100644', 'b.bin', Buffer.concat([bulk, bulk])],
    ['100644', 'c', `${NEW_SECRET}\n`],
  );
  const report = await check(tree, { limits: { files: 10, bytes: 64 * MiB }, policy: { ...POLICY, large_file: 'note' } });
  assert.deepEqual(
    told(report).filter((one) => !one.includes('large_file')),
    ['note binary a.bin', 'note binary b.bin', 'hold secret c'],
  );
  assert.match(report.findings.find(({ rule }) => rule === 'binary')?.detail ?? '', /not scanned for secrets/);
});

test('a scanner that is killed, takes too long, or cannot read its input is told as failed', async () => {
  const signal = AbortSignal.timeout(60_000);
  const caps = { heapMiB: 256, cpuSeconds: 30, wallMs: 60_000 };
  const patch = Buffer.from('diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -0,0 +1 @@\n+y\n');
  assert.equal((await scanSecrets(patch, '', signal, caps)).kind, 'scanned');
  const slow = await scanSecrets(patch, '', signal, { ...caps, wallMs: 1 });
  assert.deepEqual(slow, { kind: 'failed', why: 'timed out' });
  const small = await scanSecrets(patch, '', signal, { ...caps, heapMiB: 1 });
  assert.equal(small.kind, 'failed');
});
