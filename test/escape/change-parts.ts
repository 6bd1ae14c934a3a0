/** What a change is made of, and what a trusted side that knows no better would do with it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gitAs } from '../git/repositories.ts';
import type { Observation } from './cases.ts';
import type { GitTarget, Passed } from './git-rig.ts';
import {
  bundleOf,
  type CommitText,
  commitOf,
  idOf,
  type PackedObject,
  packOf,
  sorted,
  type TreeEntry,
  treeOf,
} from './objects.ts';

export const MiB = 1 << 20;

/** What a change is made of, before it is a bundle. */
export interface Parts {
  readonly objects: readonly PackedObject[];
  readonly tree: string;
}

export const blob = (text: string | Buffer): PackedObject => ({ type: 'blob', data: Buffer.from(text) });
export const idOfBlob = (text: string | Buffer): string => idOf('blob', Buffer.from(text));
export const X = 'x\n';

/** The base's root with these entries in it, in git's order or as given. */
export function rootWith({ world }: GitTarget, extra: readonly TreeEntry[], inOrder = true): Parts {
  const entries = [...world.baseEntries, ...extra];
  const data = treeOf(inOrder ? sorted(entries) : entries);
  return { objects: [blob(X), { type: 'tree', data }], tree: idOf('tree', data) };
}

/** A directory of these entries below the base's root. */
export function below(target: GitTarget, mode: string, name: string | Buffer, inner: readonly TreeEntry[]): Parts {
  const data = treeOf(inner);
  const { objects, tree } = rootWith(target, [[mode, name, idOf('tree', data)]]);
  return { objects: [...objects, { type: 'tree', data }], tree };
}

export const replacing = ({ world }: GitTarget, name: string, entry: TreeEntry): Parts => {
  const data = treeOf(sorted([...world.baseEntries.filter(([, known]) => known !== name), entry]));
  return { objects: [blob(X), blob('src'), { type: 'tree', data }], tree: idOf('tree', data) };
};

/** The bundle of one commit on the base. */
export function bundled({ world }: GitTarget, { objects, tree }: Parts, commit: Partial<CommitText> = {}): Buffer {
  const data = commitOf({ tree, parent: world.base, ...commit });
  return bundleOf(world.base, idOf('commit', data), packOf([{ type: 'commit', data }, ...objects]));
}

/** Whether a repository that only has `fetch.fsckObjects` takes the bundle. */
export function taken(target: GitTarget, bundle: Buffer): { worked: boolean; how: string } {
  const { world } = target;
  const own = mkdtempSync(join(world.root, 'plain-'));
  const file = join(own, 'x.bundle');
  writeFileSync(file, bundle);
  gitAs(own, ['clone', '--quiet', '--bare', world.upstream, 'plain.git']);
  const at = join(own, 'plain.git');
  const fetch = ['-c', 'fetch.fsckObjects=true', 'fetch', '--quiet', file, 'refs/heads/change:refs/heads/change'];
  const run = spawnSync('git', ['-C', at, ...fetch], { encoding: 'utf8', timeout: 30_000 });
  const there = spawnSync('git', ['-C', at, 'rev-parse', '--verify', '--quiet', 'refs/heads/change']).status === 0;
  return { worked: there, how: `git fetch with fetch.fsckObjects=true alone: ${there ? 'taken' : run.stderr}` };
}

/** Whether an honest change is published. */
export async function passes(target: GitTarget, parts: Parts): Promise<Observation['control']> {
  const { published, why } = await target.publish(bundled(target, parts), parts.tree);
  return { worked: published !== null, how: `an honest one: ${why}` };
}

export const notPublished = (passed: Passed, why: RegExp): Pick<Observation, 'held' | 'seen'> => ({
  held: passed.published === null && why.test(passed.why),
  seen: passed.published === null ? `refused: ${passed.why}` : `published ${passed.published}`,
});
