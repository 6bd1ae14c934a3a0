/** Changes of few bytes that cost much to look at: each is ended by its caps, in time, and is a finding. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { bundleOf, type MadeObject, objectOf, treeOf } from './hand-made-pack.ts';
import { fakeBundle, gitAs, quarantineWorld, type World } from './quarantine-world.ts';

const ending: (() => void | Promise<void>)[] = [];
let world: World;
before(async () => {
  const context = { after: (fn: () => void | Promise<void>) => void ending.push(fn) };
  world = await quarantineWorld(context as Parameters<typeof quarantineWorld>[0], { 'README.md': 'x\n' });
});
after(async () => {
  for (const end of ending.reverse()) await end();
});

const BLOB = objectOf('blob', 'x\n');

/** A tree with the file at the bottom of `depth` directories. */
function deep(depth: number): MadeObject[] {
  const objects = [BLOB, treeOf(['100644', 'f', BLOB.id])];
  let last = objects.at(-1)?.id ?? '';
  for (let i = 0; i < depth; i++) {
    const tree = treeOf(['40000', 'd', last]);
    objects.push(tree);
    last = tree.id;
  }
  return objects;
}

/** A tree in which each directory stands `width` times, `levels` deep: width ** levels paths from few objects. */
function wide(width: number, levels: number): MadeObject[] {
  const objects: MadeObject[] = [BLOB];
  for (let level = 0; level < levels; level++) {
    const { id } = objects.at(-1) ?? BLOB;
    const mode = level === 0 ? '100644' : '40000';
    objects.push(treeOf(...Array.from({ length: width }, (_, i) => [mode, `n${String(i).padStart(3, '0')}`, id] as const)));
  }
  return objects;
}

async function check(objects: readonly MadeObject[]) {
  const { bytes, tree } = bundleOf(world.base, objects);
  const report = await world.check(fakeBundle(world, bytes), tree);
  const rules = [...new Set(report.findings.map(({ rule }) => rule))];
  return { verdict: report.verdict, rules, bytes: bytes.length };
}

test('made by hand, a small tree is read and only its deletion and addition are seen', async () => {
  assert.deepEqual((await check(deep(3))).rules, []);
  assert.deepEqual((await check(wide(3, 3))).rules, []);
});

test('directories within directories beyond what a file system takes are refused', async () => {
  assert.deepEqual((await check(deep(3000))).rules, ['path_unreadable']);
});

test('directories within directories beyond what git itself can walk are ended by its limits', async () => {
  const { verdict, rules, bytes } = await check(deep(60_000));
  assert.deepEqual([verdict, rules], ['refused', ['over_limits']]);
  assert.ok(bytes < 4_000_000);
});

test('a kilobyte that holds 268 million files is not listed to its end', async () => {
  const { verdict, rules, bytes } = await check(wide(16, 7));
  assert.equal(verdict, 'refused');
  assert.match(rules.join(), /^(?:over_limits|too_many_files)$/);
  assert.ok(bytes < 2000);
});

test('after all of them the repository that is pushed from holds the base and what was clean', () => {
  assert.equal(gitAs(world.quarantine.repository, ['fsck', '--strict', '--no-dangling']), '');
});
