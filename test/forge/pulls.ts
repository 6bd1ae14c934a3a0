/** Pull requests: an issue with a head and a base, and what git says about the two. */
import type { Context } from './call.ts';
import type { Account, Issue, PullDetails } from './entities.ts';
import { GitFailure, git } from './git-store.ts';
import { accountShape, apiOf, pageOf, repositoryShape, type Shape } from './represent.ts';
import { associationOf, issueShape, labelShape } from './represent-issue.ts';
import type { World } from './world.ts';

/** The commit that a ref names; null where there is none. */
export async function resolveRef(world: World, directory: string, ref: string): Promise<string | null> {
  try {
    return (await git(world.directory, directory, ['rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`]))
      .toString()
      .trim();
  } catch (thrown) {
    if (thrown instanceof GitFailure) return null;
    throw thrown;
  }
}

export async function commitsBetween(world: World, directory: string, base: string, head: string): Promise<string[]> {
  return (await git(world.directory, directory, ['rev-list', '--reverse', `${base}..${head}`]))
    .toString()
    .split('\n')
    .filter(Boolean);
}

interface Size {
  readonly commits: number;
  readonly additions: number;
  readonly deletions: number;
  readonly changed_files: number;
}

async function sizeOf(world: World, directory: string, pull: PullDetails): Promise<Size> {
  const commits = await commitsBetween(world, directory, pull.baseSha, pull.headSha);
  const numbers = (await git(world.directory, directory, ['diff', '--numstat', `${pull.baseSha}...${pull.headSha}`])).toString();
  const rows = numbers
    .split('\n')
    .filter(Boolean)
    .map((row) => row.split('\t'));
  const sum = (column: number) => rows.reduce((total, row) => total + (Number(row[column]) || 0), 0);
  return { commits: commits.length, additions: sum(0), deletions: sum(1), changed_files: rows.length };
}

/** The pull request as lists show it. */
export function pullSimpleShape(world: World, issue: Issue): Shape {
  const { repository, pull } = issue;
  if (!pull) throw new Error('not a pull request');
  const api = apiOf(world, repository);
  const url = `${api}/pulls/${issue.number}`;
  const page = `${pageOf(world, repository)}/pull/${issue.number}`;
  const assignees = issue.assignees.map((account) => accountShape(world, account));
  const repo = repositoryShape(world, repository);
  const owner = accountShape(world, repository.owner);
  const side = (ref: string, sha: string) => ({ label: `${repository.owner.login}:${ref}`, ref, sha, user: owner, repo });
  const links = {
    self: url,
    html: page,
    issue: `${api}/issues/${issue.number}`,
    comments: `${api}/issues/${issue.number}/comments`,
    review_comments: `${url}/comments`,
    review_comment: `${api}/pulls/comments{/number}`,
    commits: `${url}/commits`,
    statuses: `${api}/statuses/${pull.headSha}`,
  };
  return {
    url,
    id: issue.id,
    node_id: issueShape(world, issue)['node_id'],
    html_url: page,
    diff_url: `${page}.diff`,
    patch_url: `${page}.patch`,
    issue_url: links.issue,
    number: issue.number,
    state: issue.state,
    locked: false,
    title: issue.title,
    user: accountShape(world, issue.author),
    body: issue.body,
    created_at: issue.createdAt,
    updated_at: issue.updatedAt,
    closed_at: issue.closedAt,
    merged_at: pull.mergedAt,
    merge_commit_sha: pull.mergeSha,
    assignee: assignees[0] ?? null,
    assignees,
    requested_reviewers: [],
    requested_teams: [],
    labels: issue.labels.map((label) => labelShape(world, repository, label)),
    milestone: null,
    draft: pull.draft,
    commits_url: links.commits,
    review_comments_url: links.review_comments,
    review_comment_url: links.review_comment,
    comments_url: links.comments,
    statuses_url: links.statuses,
    head: side(pull.headRef, pull.headSha),
    base: side(pull.baseRef, pull.baseSha),
    _links: Object.fromEntries(Object.entries(links).map(([name, href]) => [name, { href }])),
    author_association: associationOf(repository, issue.author),
    auto_merge: null,
    active_lock_reason: null,
  };
}

/** The pull request in full, with its size as git counts it. */
export async function pullShape(world: World, issue: Issue): Promise<Shape> {
  const { repository, pull } = issue;
  if (!pull) throw new Error('not a pull request');
  return {
    ...pullSimpleShape(world, issue),
    merged: pull.mergedAt !== null,
    mergeable: issue.state === 'open' ? true : null,
    rebaseable: issue.state === 'open' ? true : null,
    mergeable_state: pull.draft ? 'draft' : 'clean',
    merged_by: pull.mergedBy ? accountShape(world, pull.mergedBy) : null,
    comments: world.comments.filter((comment) => comment.issue === issue).length,
    review_comments: 0,
    maintainer_can_modify: false,
    ...(await sizeOf(world, repository.directory, pull)),
  };
}

/** What a push to its head branch does to an open pull request. */
export async function synchronize(context: Context, issue: Issue, by: Account, before: string, after: string): Promise<void> {
  const { world, deliveries } = context;
  if (!issue.pull) return;
  issue.pull.headSha = after;
  issue.updatedAt = world.timestamp();
  await git(world.directory, issue.repository.directory, ['update-ref', `refs/pull/${issue.number}/head`, after]);
  world.touch();
  deliveries.emit({
    event: 'pull_request',
    action: 'synchronize',
    sender: by,
    repository: issue.repository,
    payload: { number: issue.number, before, after, pull_request: await pullShape(world, issue) },
  });
}
