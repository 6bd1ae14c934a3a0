import { z } from 'zod';
import { CoatcheckError } from '../errors.ts';
import { ObjectId } from '../task/task.ts';
import { INSIDE, type SandboxCommand } from './lay-in.ts';

export interface TakeOutOptions {
  /** The base commit, as laid in. */
  readonly base: string;
  readonly workTree: string;
  /** A directory that does not exist yet, below the sandbox's /tmp; best with a random part in its name. */
  readonly scratch: string;
}

/** What the work tree holds, in the sandbox's own words: believed only after quarantine. */
export type TakenOut =
  /** `leftOut`: what is no part of the change: repositories that the agent made inside the tree, and what was untracked before. */
  | { readonly kind: 'nothing'; readonly leftOut: readonly string[] }
  | { readonly kind: 'change'; readonly tree: string; readonly head: string; readonly leftOut: readonly string[] };

/** The only ref in a bundle of ours. */
export const CHANGE_REF = 'refs/heads/change';

/**
 * A repository of its own over the work tree, with the base in its index.
 *
 * The agent's `.git` is used for one thing, the base's objects (as an alternate): its configuration, hooks, filters,
 * `info/attributes`, `info/exclude`, replacements, index flags (skip-worktree, assume-unchanged) and HEAD do not count, and
 * neither do its home's. In-tree `.gitattributes` name filters that are defined nowhere, so that files go in as they
 * are. History is cut at the base (`shallow`), so that the bundle leans on the base's objects alone.
 *
 * None of this is a defence: everything here runs under the agent's own user. It keeps honest changes whole.
 */
const OPEN = `
set -eu
base=$1 work=$2 dir=$3
git init --quiet --bare --template= -- "$dir"
printf '%s\\n' "$work/.git/objects" >"$dir/objects/info/alternates"
printf '%s\\n' "$base" >"$dir/shallow"
export GIT_DIR="$dir" GIT_WORK_TREE="$work" GIT_INDEX_FILE="$dir/index"
cd -- "$work"
git cat-file -e "$base^{tree}" || { echo 'the base commit is gone from .git' >&2; exit 3; }
git read-tree "$base"
`;

/** A directory that git knows nothing in stands for all that is or will be in it: a build adds to what a build made. */
const LIST = `${OPEN}
git ls-files -z --others --exclude-standard --directory --no-empty-directory
rm -rf -- "$dir"
`;

/** How many names of what was left out are told. */
const LEFT_OUT_SHOWN = 100;

/**
 * Stages the whole work tree and commits it on top of the base. What was untracked before the agent began is left out,
 * and so is a repository that the agent made inside the tree: it would become a gitlink to nowhere. Both are named. Submodules
 * of the base stay as they are.
 */
const STAGE = `${OPEN}
git ls-files -z --others --exclude-standard | { grep -z '/$' || :; } >"$dir/untracked"
cat >>"$dir/untracked"
{ printf ':/\\0'; sed -z 's/^/:(top,exclude,literal)/; s,/$,,' <"$dir/untracked"; } |
  git add --all --pathspec-from-file=- --pathspec-file-nul
tree=$(git write-tree)
head -z -n ${LEFT_OUT_SHOWN} <"$dir/untracked" | tr '\\n\\0' '?\\n' | sed 's/^/left out /'
if [ "$tree" = "$(git rev-parse "$base^{tree}")" ]; then echo nothing; exit 0; fi
head=$(git commit-tree -p "$base" -m 'Change' "$tree")
git update-ref "${CHANGE_REF}" "$head"
echo "tree $tree"
echo "head $head"
`;

const IDENTITY = {
  GIT_AUTHOR_NAME: 'sandbox',
  GIT_AUTHOR_EMAIL: 'sandbox@coatcheck.invalid',
  GIT_AUTHOR_DATE: '@1 +0000',
  GIT_COMMITTER_NAME: 'sandbox',
  GIT_COMMITTER_EMAIL: 'sandbox@coatcheck.invalid',
  GIT_COMMITTER_DATE: '@1 +0000',
};

const SETTINGS: Readonly<Record<string, string>> = {
  ...INSIDE,
  ...IDENTITY,
  GIT_CONFIG_COUNT: '5',
  GIT_CONFIG_KEY_0: 'core.hooksPath',
  GIT_CONFIG_VALUE_0: '/dev/null',
  GIT_CONFIG_KEY_1: 'core.fsmonitor',
  GIT_CONFIG_VALUE_1: 'false',
  GIT_CONFIG_KEY_2: 'safe.directory',
  GIT_CONFIG_VALUE_2: '*',
  GIT_CONFIG_KEY_3: 'core.protectNTFS',
  GIT_CONFIG_VALUE_3: 'true',
  GIT_CONFIG_KEY_4: 'core.protectHFS',
  GIT_CONFIG_VALUE_4: 'true',
};

/**
 * Run when set-up and baseline are done and the agent has not begun: stdout is the list of what is untracked and not ignored
 * then, to be given to `stageCommand` as it is. Exit codes as there.
 */
export function untrackedCommand(options: TakeOutOptions): SandboxCommand {
  const { base, workTree, scratch } = options;
  return { command: ['sh', '-c', LIST, 'sh', ObjectId.parse(base), workTree, scratch], env: SETTINGS, stdin: 'nothing' };
}

/**
 * Run first. stdin is the list of `untrackedCommand`, or nothing. stdout: any number of `left out PATH` lines, then either
 * `nothing` or `tree ID` and `head ID`, one line each: `readTakeOut` reads it. Exit code 3: the agent destroyed `.git`;
 * other non-zero codes: stderr says why.
 */
export function stageCommand(options: TakeOutOptions): SandboxCommand {
  const { base, workTree, scratch } = options;
  return { command: ['sh', '-c', STAGE, 'sh', ObjectId.parse(base), workTree, scratch], env: SETTINGS, stdin: 'paths' };
}

/** Run when `stageCommand` found a change; stdout is the bundle, to be streamed on unread. */
export function bundleCommand(options: TakeOutOptions): SandboxCommand {
  const base = ObjectId.parse(options.base);
  return {
    command: ['git', `--git-dir=${options.scratch}`, 'bundle', 'create', '--quiet', '-', `^${base}`, CHANGE_REF],
    env: SETTINGS,
    stdin: 'nothing',
  };
}

const LEFT_OUT = 'left out ';

/** @throws CoatcheckError `take_out_failed` when the text is not what `stageCommand` writes. */
export function readTakeOut(stdout: Buffer): TakenOut {
  const lines = stdout.toString('utf8').split('\n').slice(0, -1);
  const leftOut = lines.filter((line) => line.startsWith(LEFT_OUT)).map((line) => line.slice(LEFT_OUT.length).replace(/\/$/, ''));
  const rest = lines.filter((line) => !line.startsWith(LEFT_OUT));
  if (rest.length === 1 && rest[0] === 'nothing') return { kind: 'nothing', leftOut };
  const ids = z.tuple([Labelled('tree'), Labelled('head')]).safeParse(rest);
  if (ids.success) return { kind: 'change', tree: ids.data[0], head: ids.data[1], leftOut };
  throw new CoatcheckError('take_out_failed', 'The sandbox did not say what changed.', 'See the output of the take-out step.');
}

const Labelled = (label: string) =>
  z
    .string()
    .startsWith(`${label} `)
    .transform((line) => line.slice(label.length + 1))
    .pipe(ObjectId);

/**
 * Puts a bundle's change over a work tree in which the base was laid in, as the clean room does: files that the
 * base's set-up made and git does not track stay. stdin is the bundle; stdout is one line, `tree ID`, of what is then
 * checked out. Nothing of the agent has run in that sandbox before.
 */
export function applyCommand(options: { readonly base: string; readonly workTree: string }): SandboxCommand {
  const { base, workTree } = options;
  return { command: ['sh', '-c', APPLY, 'sh', ObjectId.parse(base), workTree], env: SETTINGS, stdin: 'bundle' };
}

const APPLY = `
set -eu
cd -- "$2"
cat >.git/coatcheck.bundle
git bundle unbundle .git/coatcheck.bundle >.git/coatcheck.heads
rm -f .git/coatcheck.bundle
read -r head ref <.git/coatcheck.heads
[ "$(git rev-list --parents -n 1 "$head")" = "$head $1" ] || { echo 'the change is not one commit on the base' >&2; exit 3; }
git reset --hard --quiet "$head"
echo "tree $(git write-tree)"
`;

/** @throws CoatcheckError `take_out_failed` when the text is not what `applyCommand` writes. */
export function readApplied(stdout: Buffer): string {
  const tree = Labelled('tree').safeParse(stdout.toString('utf8').trimEnd());
  if (tree.success) return tree.data;
  throw new CoatcheckError(
    'take_out_failed',
    'The clean room did not say which tree it holds.',
    'See the output of the clean-room step.',
  );
}
