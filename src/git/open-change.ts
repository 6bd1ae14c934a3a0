import { z } from 'zod';
import type { CageResult } from '../cage/run-in-cage.ts';
import { ObjectId } from '../task/task.ts';
import { caged, isOverLimits, quarantineFailed, type Scratch } from './caged-git.ts';
import { CHANGE_REF } from './take-out.ts';

/** Something about a change that a person should know. `rule` is stable; policy says what becomes of the change by it. */
export interface Finding {
  readonly rule: string;
  readonly path: string;
  readonly detail: string;
}

export type OpenedChange =
  | {
      readonly kind: 'sound';
      readonly head: string;
      readonly tree: string;
      /** Name of the pack in the scratch repository. */
      readonly pack: string;
    }
  | { readonly kind: 'unsound'; readonly head: string | null; readonly findings: readonly Finding[] };

/**
 * Reads the bundle's head (gitformat-bundle: signature, one prerequisite, one ref, an empty line) line by line, which
 * leaves the file's position at the pack, and lets index-pack check every object in it: `--strict` refuses trees with
 * `.git`, `..` and their spellings on other systems, hostile `.gitmodules`, and links to objects that are nowhere.
 */
const OPEN = `
set -eu
bundle=$1 base=$2 objects=$3
say() { echo "$1"; exit 0; }
git init --quiet --bare --template=
printf '%s\\n' "$objects" >"$GIT_DIR/objects/info/alternates"
printf '%s\\n' "$base" >"$GIT_DIR/shallow"
exec <"$bundle"
IFS= read -r line || say 'unsound header'
[ "$line" = '# v2 git bundle' ] || say 'unsound header'
IFS= read -r line || say 'unsound header'
case "$line" in "-$base" | "-$base "*) ;; *) say 'unsound prerequisite' ;; esac
IFS= read -r line || say 'unsound header'
head=\${line%% *}
[ "$line" = "$head ${CHANGE_REF}" ] || say 'unsound header'
[ "\${#head}" -eq "\${#base}" ] || say 'unsound header'
case "$head" in *[!0-9a-f]*) say 'unsound header' ;; esac
IFS= read -r line || say 'unsound header'
[ -z "$line" ] || say 'unsound header'
code=0
pack=$(git index-pack --strict --fix-thin --stdin) || code=$?
if [ "$code" -ne 0 ]; then
  echo "head $head"
  if [ "$code" -gt 128 ]; then say 'unsound limits'; else say 'unsound objects'; fi
fi
[ "$(git cat-file -t "$head" 2>/dev/null)" = commit ] || say 'unsound history'
[ "$(git rev-list --parents --max-count=1 "$head")" = "$head $base" ] || say 'unsound history'
tree=$(git rev-parse --verify "$head^{tree}")
git rev-list --objects --quiet "$tree" --not "$base^{tree}"
printf 'head %s\\ntree %s\\npack %s\\n' "$head" "$tree" "\${pack#pack?}"
`;

const Hash = z.string().regex(/^[0-9a-f]{40,64}$/);

/** Opens a bundle in the cage. Whatever is wrong with it is a finding, never a throw. */
export async function openChange(
  scratch: Scratch,
  options: { readonly bundle: string; readonly base: string },
): Promise<OpenedChange> {
  const command = ['sh', '-c', OPEN, 'sh', options.bundle, options.base, scratch.baseObjects];
  const run = await caged(scratch, command, { outputLimit: 256 * 1024, readOnly: [options.bundle] });
  const said = new Map(
    run.stdout
      .toString('utf8')
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)] as const),
  );
  const head = ObjectId.safeParse(said.get('head')).data ?? null;
  if (run.ended !== 'exited') return unsound(head, [overLimits(`${run.ended}: ${printable(run.stderr)}`)]);
  // The script itself ends well whatever the bundle is: this is the host's failure, not the change's.
  if (run.exitCode !== 0) throw quarantineFailed(run);
  const why = said.get('unsound');
  if (why !== undefined) return unsound(head, findingsFor(why, run));
  const tree = ObjectId.parse(said.get('tree'));
  return { kind: 'sound', head: ObjectId.parse(head), tree, pack: Hash.parse(said.get('pack')) };
}

const unsound = (head: string | null, findings: readonly Finding[]): OpenedChange => ({ kind: 'unsound', head, findings });

/** The finding for a change that costs more to look at than a look may. */
export const overLimits = (how: string): Finding => ({
  rule: 'over_limits',
  path: '',
  detail: `The check was ended by its limits (${how}).`,
});

function findingsFor(why: string, run: CageResult): Finding[] {
  const { stderr } = run;
  if (why === 'limits' || isOverLimits(run)) return [overLimits(printable(stderr))];
  if (why === 'header')
    return [{ rule: 'bundle_unreadable', path: '', detail: 'This is not a bundle with one prerequisite and one ref.' }];
  if (why === 'prerequisite') return [{ rule: 'wrong_base', path: '', detail: 'The change does not stand on the base commit.' }];
  if (why === 'history') return [{ rule: 'wrong_history', path: '', detail: 'The change is not one commit on the base commit.' }];
  const faults = [...stderr.matchAll(/object ([0-9a-f]{40,64}): (\w+): ([^\n]*)/g)].slice(0, 50);
  if (faults.length === 0) return [{ rule: 'objects_unreadable', path: '', detail: printable(stderr) }];
  return faults.map(([, id = '', fault = '', text = '']) => ({
    rule: 'hostile_object',
    path: '',
    detail: `${fault}: ${printable(text)} (${id})`,
  }));
}

/** Text out of the cage, on one line and short. */
export const printable = (text: string): string =>
  text
    .replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim()
    .slice(0, 500);
