import { baseOf } from './base.ts';
import { call } from './failure.ts';
import type { Octokits } from './octokit.ts';
import type { Access, Repository } from './repository.ts';
import type { MintedToken, Tokens } from './tokens.ts';
import { findEntry, readBlob, type TreeEntry } from './tree.ts';

/** A repository of an installation's account, opened by its name for reading. */
export interface OtherRepository {
  readonly repository: Repository;
  /** Good for reading this repository alone; the caller revokes it. */
  readonly token: MintedToken;
  /** The default branch and the commit at its head. @throws CoatcheckError `repository_empty`. */
  base(): Promise<{ ref: string; sha: string }>;
  findEntry(sha: string, path: string): Promise<TreeEntry | null>;
  readBlob(sha: string, limit: number): Promise<Buffer>;
}

interface Parts {
  readonly octokits: Octokits;
  readonly tokens: Tokens;
  readonly self: Access['self'];
  readonly secondMs: number;
}

/**
 * Opens a repository by its name through the installation: the token is made for it alone, and its id comes with the
 * token. Null when the installation does not cover a repository of this name.
 */
export async function openOther(
  { octokits, tokens, self, secondMs }: Parts,
  installation: number,
  at: { readonly owner: string; readonly name: string },
  signal: AbortSignal | undefined,
): Promise<OtherRepository | null> {
  const made = await tokens.mintNamed(installation, at.name, { contents: 'read', metadata: 'read' }, signal);
  if (made === null) return null;
  const { token, repository } = made;
  // An installation is of one account: a name that another account's repository has is not this one.
  if (repository.owner.toLowerCase() !== at.owner.toLowerCase()) {
    await tokens.revoke(token.token, signal);
    return null;
  }
  const access: Access = {
    octokit: octokits.withToken(`installation-${installation}`, () => Promise.resolve(token.token)),
    at: { owner: repository.owner, repo: repository.name, request: signal === undefined ? {} : { signal } },
    signal,
    self,
    secondMs,
  };
  return {
    repository,
    token,
    base: () => call('Reading the default branch', signal, () => baseOf(access)),
    findEntry: (sha, path) => findEntry(access, sha, path),
    readBlob: (sha, limit) => readBlob(access, sha, limit),
  };
}
