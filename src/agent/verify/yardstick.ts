import { isDefinitionPath, isTestPath, type MERGED, mergedKind, type Yardstick } from '../../policy/yardstick.ts';
import { type ChangedFile, type GitContext, git, inTree } from './changes.ts';
import { MERGE_PACKAGE_JSON, MERGE_PYPROJECT } from './merge-scripts.ts';

/** What has to be done to a change's tree so that it stands with the base's yardstick. */
export interface YardstickPlan {
  /** Edited or deleted: the base's version comes back as a whole. */
  readonly restore: readonly string[];
  /** New definitions beside files of the base: they could change what its commands mean, and go. */
  readonly remove: readonly string[];
  /** Edited manifests: only the definitions in them come back. */
  readonly merge: readonly string[];
}

/** Whether a changed file may bear on the yardstick; an edited manifest may, until its content is compared. */
export const isMeasure = ({ path, status }: ChangedFile, yardstick: Yardstick): boolean =>
  isDefinitionPath(path, yardstick) || (status !== 'A' && (isTestPath(path, yardstick) || mergedKind(path) !== null));

/**
 * Sorts a change's files. New tests stay, and so do definitions in folders that the base does not have.
 * @param baseFolders folders of the base with a trailing slash; the root is the empty string
 */
export function planYardstick(
  changed: readonly ChangedFile[],
  yardstick: Yardstick,
  baseFolders: ReadonlySet<string>,
): YardstickPlan {
  const folder = (path: string): string => path.slice(0, path.lastIndexOf('/') + 1);
  const isDefinition = (path: string) => isDefinitionPath(path, yardstick);
  const edited = changed.filter((file) => file.status !== 'A');
  return {
    restore: edited
      .filter(
        ({ path, status }) => isDefinition(path) || isTestPath(path, yardstick) || (status === 'D' && mergedKind(path) !== null),
      )
      .map((file) => file.path),
    remove: changed
      .filter(({ path, status }) => status === 'A' && isDefinition(path) && baseFolders.has(folder(path)))
      .map((file) => file.path),
    merge: edited
      .filter(
        ({ path, status }) => status === 'M' && mergedKind(path) !== null && !isDefinition(path) && !isTestPath(path, yardstick),
      )
      .map((file) => file.path),
  };
}

/**
 * Puts the base's tests and command definitions back over the change that is checked out in a fresh sandbox.
 * @returns the paths of the base's yardstick that the change edits, deletes or overrides, sorted; empty when the tree is as it was.
 * @throws CoatcheckError `yardstick_failed` when the sandbox cannot carry it out; the change is then unjudged.
 */
export async function putBaseYardstickBack(
  context: GitContext,
  change: { readonly base: string; readonly files: readonly ChangedFile[]; readonly yardstick: Yardstick },
): Promise<string[]> {
  const plan = planYardstick(change.files, change.yardstick, await foldersOf(context, change.base));
  if (plan.restore.length > 0) {
    await git(context, ['checkout', '--quiet', change.base, '--pathspec-from-file=-', '--pathspec-file-nul'], nul(plan.restore));
  }
  if (plan.remove.length > 0)
    await git(context, ['rm', '--quiet', '--force', '--pathspec-from-file=-', '--pathspec-file-nul'], nul(plan.remove));
  const merged: string[] = [];
  for (const path of plan.merge) if (await mergeBack(context, change.base, path)) merged.push(path);
  return [...plan.restore, ...plan.remove, ...merged].sort();
}

async function foldersOf(context: GitContext, base: string): Promise<Set<string>> {
  const out = await git(context, ['ls-tree', '-r', '-d', '-z', '--name-only', '--full-tree', base]);
  return new Set([
    '',
    ...out
      .toString('utf8')
      .split('\0')
      .slice(0, -1)
      .map((name) => `${name}/`),
  ]);
}

const SCRIPTS: { readonly [N in (typeof MERGED)[number]]: string } = {
  'package.json': MERGE_PACKAGE_JSON,
  'pyproject.toml': MERGE_PYPROJECT,
};

/** Whether the base's definitions in this file differ from the change's, and were put back. */
async function mergeBack(context: GitContext, base: string, path: string): Promise<boolean> {
  const kind = mergedKind(path);
  if (kind === null) return false;
  const text = await git(context, ['show', `${base}:${path}`]);
  // A link or device in the place of a manifest would be written through: what is there goes first.
  const shape = await git(context, ['ls-files', '--stage', '-z', '--', path]);
  if (!/^100(644|755) /.test(shape.toString('utf8'))) {
    await git(context, ['checkout', '--quiet', base, '--', path]);
    return true;
  }
  const ask = Buffer.from(JSON.stringify({ base: text.toString('utf8'), path: `./${path}` }));
  const said = await inTree(context, ['python3', '-I', '-c', SCRIPTS[kind]], ask);
  return said.toString('utf8').trim() !== 'kept';
}

const nul = (paths: readonly string[]): Buffer => Buffer.from(paths.map((path) => `${path}\0`).join(''));
