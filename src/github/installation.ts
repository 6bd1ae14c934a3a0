import { baseOf, branchHead, deleteBranch } from './base.ts';
import { createCheckRun, updateCheckRun } from './check-runs.ts';
import { createComment, editComment, findComment } from './comments.ts';
import { call } from './failure.ts';
import type { Octokits } from './octokit.ts';
import type { OwnTokens } from './own-tokens.ts';
import { permissionOf } from './permission.ts';
import { createPullRequest, findPullRequest } from './pull-requests.ts';
import { react, removeLabel, unreact } from './reactions.ts';
import type { Access, Repository } from './repository.ts';
import type { Tokens } from './tokens.ts';
import { findEntry, readBlob, readTree } from './tree.ts';

interface Parts {
  octokits: Octokits;
  tokens: Tokens;
  ownTokens: OwnTokens;
  self: Access['self'];
  secondMs: number;
}

/** What each verb takes after the repository. */
type Rest<Verb> = Verb extends (access: Access, ...rest: infer R) => unknown ? R : never;

/** The operations on one installation's repositories; each makes its calls with a token for that repository alone. */
export function bindInstallation({ octokits, tokens, ownTokens, self, secondMs }: Parts, id: number, signal?: AbortSignal) {
  const accessWith = (repository: Repository, token: (refused: boolean) => Promise<string>): Access => ({
    octokit: octokits.withToken(`installation-${id}`, token),
    at: { owner: repository.owner, repo: repository.name, request: signal === undefined ? {} : { signal } },
    signal,
    self,
    secondMs,
  });
  const to = (repository: Repository): Access => accessWith(repository, (refused) => ownTokens.of(id, repository, refused));
  return {
    permissionOf: (repository: Repository, ...rest: Rest<typeof permissionOf>) => permissionOf(to(repository), ...rest),
    baseOf: (repository: Repository) => baseOf(to(repository)),
    branchHead: (repository: Repository, branch: string) => branchHead(to(repository), branch),
    readTree: (repository: Repository, sha: string) => readTree(to(repository), sha),
    findEntry: (repository: Repository, ...rest: Rest<typeof findEntry>) => findEntry(to(repository), ...rest),
    readBlob: (repository: Repository, ...rest: Rest<typeof readBlob>) => readBlob(to(repository), ...rest),
    react: (repository: Repository, ...rest: Rest<typeof react>) => react(to(repository), ...rest),
    unreact: (repository: Repository, ...rest: Rest<typeof unreact>) => unreact(to(repository), ...rest),
    removeLabel: (repository: Repository, ...rest: Rest<typeof removeLabel>) => removeLabel(to(repository), ...rest),
    createComment: (repository: Repository, ...rest: Rest<typeof createComment>) => createComment(to(repository), ...rest),
    findComment: (repository: Repository, ...rest: Rest<typeof findComment>) => findComment(to(repository), ...rest),
    editComment: (repository: Repository, ...rest: Rest<typeof editComment>) => editComment(to(repository), ...rest),
    findPullRequest: (repository: Repository, head: string) => findPullRequest(to(repository), head),
    createPullRequest: (repository: Repository, ...rest: Rest<typeof createPullRequest>) =>
      createPullRequest(to(repository), ...rest),
    createCheckRun: (repository: Repository, ...rest: Rest<typeof createCheckRun>) => createCheckRun(to(repository), ...rest),
    updateCheckRun: (repository: Repository, ...rest: Rest<typeof updateCheckRun>) => updateCheckRun(to(repository), ...rest),

    /** Deletes a branch with a write token made for this and revoked after; false when there was none. */
    async deleteBranch(repository: Repository, branch: string): Promise<boolean> {
      const { token } = await tokens.mint(id, { repositoryId: repository.id, permissions: { contents: 'write' } }, signal);
      try {
        const access = accessWith(repository, () => Promise.resolve(token));
        return await call(`Deleting the branch ${branch}`, signal, () => deleteBranch(access, branch));
      } finally {
        await tokens.revoke(token).catch(() => false); // it ends by itself within the hour; onCredential has told
      }
    },
  };
}
export type Installation = ReturnType<typeof bindInstallation>;
