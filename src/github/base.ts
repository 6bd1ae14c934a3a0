import { CoatcheckError } from '../errors.ts';
import { call, statusOf } from './failure.ts';
import type { Access } from './repository.ts';

/**
 * The default branch, and the commit at its head.
 * @throws CoatcheckError `repository_empty` when there is no commit yet.
 */
export async function baseOf({ octokit, at, signal }: Access): Promise<{ ref: string; sha: string }> {
  return call('Reading the default branch', signal, async () => {
    const { data: repository } = await octokit.rest.repos.get(at);
    const sha = await headOf(octokit, at, repository.default_branch);
    if (sha !== null) return { ref: repository.default_branch, sha };
    throw new CoatcheckError(
      'repository_empty',
      `The repository has no commit on its default branch ${repository.default_branch}.`,
      'Push a first commit, then ask again.',
    );
  });
}

/** The commit at the head of a branch; null when there is no such branch. */
export function branchHead({ octokit, at, signal }: Access, branch: string): Promise<string | null> {
  return call(`Reading the branch ${branch}`, signal, () => headOf(octokit, at, branch));
}

async function headOf(octokit: Access['octokit'], at: Access['at'], branch: string): Promise<string | null> {
  try {
    return (await octokit.rest.git.getRef({ ...at, ref: `heads/${branch}` })).data.object.sha;
  } catch (error) {
    // 409: the repository is empty.
    if (statusOf(error) === 404 || statusOf(error) === 409) return null;
    throw error;
  }
}

/** Deletes a branch by a client that may; false when there was none. */
export async function deleteBranch({ octokit, at }: Access, branch: string): Promise<boolean> {
  try {
    await octokit.rest.git.deleteRef({ ...at, ref: `heads/${branch}` });
    return true;
  } catch (error) {
    // GitHub says 422 “Reference does not exist”.
    if (statusOf(error) === 404 || (statusOf(error) === 422 && /does not exist/i.test(String(error)))) return false;
    throw error;
  }
}
