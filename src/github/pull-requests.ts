import { COMMENT_CHARS, clipLine, clipMarkdown, TITLE_CHARS } from './clip.ts';
import { call, statusOf } from './failure.ts';
import { makeOnce } from './once.ts';
import type { Access } from './repository.ts';

export interface PullRequest {
  number: number;
  url: string;
  draft: boolean;
  state: 'open' | 'closed';
}

/** `found`: it was there already. */
export type OpenedPullRequest =
  | ({ kind: 'opened'; found: boolean } & PullRequest)
  /** The repository's plan has no drafts: nothing was opened. */
  | { kind: 'draft_unavailable' };

export interface PullRequestDraft {
  title: string;
  body: string;
  /** Branch names, without owner: both are in this repository. */
  head: string;
  base: string;
  draft: boolean;
}

/** The pull request of a branch in this repository, an open one before closed ones; null when there is none. */
export function findPullRequest(access: Access, head: string): Promise<PullRequest | null> {
  return call('Looking for a pull request', access.signal, () => lookFor(access, head));
}

/** Opens a pull request for the branch, unless there is one, open or closed: also when GitHub's answer was lost on the way. */
export async function createPullRequest(access: Access, wanted: PullRequestDraft): Promise<OpenedPullRequest> {
  const { octokit, at, signal, secondMs } = access;
  return call('Opening a pull request', signal, async () => {
    try {
      const { made, found } = await makeOnce<PullRequest>({
        look: () => lookFor(access, wanted.head),
        make: async () => {
          const title = clipLine(wanted.title, TITLE_CHARS);
          const { data } = await octokit.rest.pulls.create({
            ...at,
            ...wanted,
            title,
            body: clipMarkdown(wanted.body, COMMENT_CHARS),
          });
          return { number: data.number, url: data.html_url, draft: data.draft === true, state: data.state };
        },
        exists: (error) => statusOf(error) === 422 && /already exists/i.test(String(error)),
        secondMs,
        signal,
      });
      return { kind: 'opened', found, ...made };
    } catch (error) {
      if (wanted.draft && statusOf(error) === 422 && /draft pull requests are not supported/i.test(String(error))) {
        return { kind: 'draft_unavailable' };
      }
      throw error;
    }
  });
}

async function lookFor({ octokit, at }: Access, head: string): Promise<PullRequest | null> {
  const { data } = await octokit.rest.pulls.list({ ...at, head: `${at.owner}:${head}`, state: 'all', per_page: 100 });
  const [first] = data
    .filter((pull) => pull.head.ref === head)
    .map(
      (pull): PullRequest => ({
        number: pull.number,
        url: pull.html_url,
        draft: pull.draft === true,
        state: pull.state === 'open' ? 'open' : 'closed',
      }),
    )
    .sort((a, b) => Number(b.state === 'open') - Number(a.state === 'open') || b.number - a.number);
  return first ?? null;
}
