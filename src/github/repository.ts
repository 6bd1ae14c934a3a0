import type { RepositoryRef } from '../task/task.ts';
import type { Octokit } from './octokit.ts';
import type { Self } from './self.ts';

/** What addresses a repository: its name for the URL, its id for the token. */
export type Repository = Pick<RepositoryRef, 'id' | 'owner' | 'name'>;

/** What every operation on a repository works with. */
export interface Access {
  octokit: Octokit;
  /** `owner` and `repo` of the call, and the caller's signal. */
  at: { owner: string; repo: string; request: { signal?: AbortSignal } };
  signal: AbortSignal | undefined;
  /** Who we are, to know our own comments. */
  self: () => Promise<Self>;
  secondMs: number;
}
