import { CoatcheckError } from '../errors.ts';
import { ObjectId } from '../task/task.ts';
import { gitEnvironment } from './environment.ts';
import type { Quarantine } from './quarantine.ts';
import { checkRemote, type Remote, remoteHead, secretsOf } from './remote.ts';
import { runGit } from './run-git.ts';

export interface PushOptions {
  readonly remote: Remote;
  /** Made by the server, for example `coatcheck/issue-12-abcdefgh`. */
  readonly branch: string;
  readonly sha: string;
  /** Where the branch must stand before; null when it must not exist. */
  readonly expected: string | null;
  readonly signal: AbortSignal;
}

export type Pushed =
  | { readonly kind: 'pushed' }
  /** The branch stood at `sha` before; nothing was sent. */
  | { readonly kind: 'already_there' }
  /** Somebody else moved, made or removed it; nothing was changed. */
  | { readonly kind: 'moved'; readonly remote: string | null };

/**
 * Pushes one commit to one branch, forward only and only from where it is expected to stand. Repeatable: a push whose
 * answer was lost is told by looking at the branch, not by pushing again.
 * @throws CoatcheckError `branch_invalid`, `not_fast_forward`, `push_refused` with git's reason, `repository_unreadable` when
 * the branch cannot be looked at: then the same call may be made again.
 */
export async function pushBranch(quarantine: Quarantine, options: PushOptions): Promise<Pushed> {
  const { remote, expected, signal } = options;
  checkRemote(remote);
  const ref = branchRef(options.branch);
  const sha = ObjectId.parse(options.sha);
  const before = await remoteHead({ remote, ref, signal });
  if (before === sha) return { kind: 'already_there' };
  if (before !== expected) return { kind: 'moved', remote: before };
  if (expected !== null) await checkForward(quarantine, ObjectId.parse(expected), sha, signal);
  const result = await runGit({
    args: [
      ...[`--git-dir=${quarantine.repository}`, 'push', '--porcelain', '--quiet', '--no-follow-tags', '--no-signed'],
      ...['--recurse-submodules=no', `--force-with-lease=${ref}:${expected ?? ''}`, '--', remote.url, `${sha}:${ref}`],
    ],
    // Negotiation finds the base among the remote's history when its branch has moved on since.
    env: gitEnvironment({ remote, protocols: 'http:https', config: [['push.negotiate', 'true']] }),
    secrets: secretsOf(remote),
    timeoutMs: 10 * 60_000,
    signal,
  });
  return result.code === 0 ? { kind: 'pushed' } : afterFailure(options, ref, sha, result.reason);
}

async function afterFailure(
  { remote, expected, signal }: PushOptions,
  ref: string,
  sha: string,
  reason: string,
): Promise<Pushed> {
  const now = await remoteHead({ remote, ref, signal });
  if (now === sha) return { kind: 'pushed' };
  if (now !== expected) return { kind: 'moved', remote: now };
  throw new CoatcheckError(
    'push_refused',
    `The branch was not taken: ${reason}.`,
    "See the repository's rules and the App's permissions.",
  );
}

/** A lease alone would allow a rewrite. */
async function checkForward(quarantine: Quarantine, from: string, to: string, signal: AbortSignal): Promise<void> {
  const args = [`--git-dir=${quarantine.repository}`, 'merge-base', '--is-ancestor', from, to];
  const result = await runGit({ args, env: gitEnvironment(), timeoutMs: 60_000, signal });
  if (result.code === 0) return;
  throw new CoatcheckError('not_fast_forward', `${to} does not follow ${from}.`, 'Start again from where the branch stands.');
}

/**
 * The full name of a branch that the server made; deliberately far stricter than git.
 * @throws CoatcheckError `branch_invalid`.
 */
export function branchRef(branch: string): string {
  if (branch.length <= 120 && /^coatcheck\/[a-z0-9]+(?:[._-][a-z0-9]+)*$/.test(branch) && !branch.endsWith('.lock'))
    return `refs/heads/${branch}`;
  throw new CoatcheckError(
    'branch_invalid',
    `${JSON.stringify(branch)} is not a branch name of ours.`,
    'This is a defect: report it with the task id.',
  );
}
