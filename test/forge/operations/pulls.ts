/** https://docs.github.com/en/rest/pulls/pulls */
import { z } from 'zod';
import { type Call, type Handlers, numberParam, page, repositoryOf } from '../call.ts';
import type { Issue } from '../entities.ts';
import { ApiFailure, invalid, notFound } from '../failure.ts';
import { git } from '../git-store.ts';
import { addIssue, authorOf, closeIssue, editIssue } from '../issues.ts';
import { commitsBetween, pullShape, pullSimpleShape, resolveRef } from '../pulls.ts';

const NewPull = z.looseObject({
  title: z.string().optional(),
  head: z.string(),
  base: z.string(),
  body: z.string().nullish(),
  draft: z.boolean().optional(),
});
const Change = z.looseObject({
  title: z.string().optional(),
  body: z.string().nullish(),
  state: z.enum(['open', 'closed']).optional(),
  base: z.string().optional(),
});

function pullOf(call: Call): Issue {
  const issue = call.world.issue(repositoryOf(call), numberParam(call, 'pull_number'));
  if (!issue?.pull) throw notFound();
  return issue;
}

/** `branch` of `owner:branch`; null for another owner's, which would be a fork. */
function branchOf(owner: string, head: string): string | null {
  const at = head.indexOf(':');
  if (at < 0) return head;
  return head.slice(0, at).toLowerCase() === owner.toLowerCase() ? head.slice(at + 1) : null;
}

async function create(call: Call) {
  const { world, deliveries } = call;
  const repository = repositoryOf(call);
  const { title, head, base, body, draft = false } = NewPull.parse(call.body);
  if (!title) throw invalid({ resource: 'PullRequest', code: 'missing_field', field: 'title' });
  const owner = repository.owner.login;
  const branch = branchOf(owner, head);
  const headSha = branch === null ? null : await resolveRef(world, repository.directory, `refs/heads/${branch}`);
  if (branch === null || headSha === null) throw invalid({ resource: 'PullRequest', field: 'head', code: 'invalid' });
  const baseSha = await resolveRef(world, repository.directory, `refs/heads/${base}`);
  if (baseSha === null) throw invalid({ resource: 'PullRequest', field: 'base', code: 'invalid' });
  const custom = (message: string) => invalid({ resource: 'PullRequest', code: 'custom', message });
  const known = world.issues.find(
    (issue) =>
      issue.repository === repository && issue.state === 'open' && issue.pull?.headRef === branch && issue.pull.baseRef === base,
  );
  if (known) throw custom(`A pull request already exists for ${owner}:${branch}.`);
  if ((await commitsBetween(world, repository.directory, baseSha, headSha)).length === 0) {
    throw custom(`No commits between ${base} and ${branch}`);
  }
  if (draft && !repository.drafts) throw new ApiFailure(422, 'Draft pull requests are not supported in this repository.');
  const author = authorOf(call);
  const pull = { draft, headRef: branch, headSha, baseRef: base, baseSha, mergedAt: null, mergedBy: null, mergeSha: null };
  const issue = addIssue(call, repository, author, { title, body: body ?? null, pull });
  await git(world.directory, repository.directory, ['update-ref', `refs/pull/${issue.number}/head`, headSha]);
  const shape = await pullShape(world, issue);
  deliveries.emit({
    event: 'pull_request',
    action: 'opened',
    sender: author.account,
    repository,
    payload: { number: issue.number, pull_request: shape },
  });
  return { status: 201, body: shape };
}

async function change(call: Call) {
  const issue = pullOf(call);
  const { title, body, state, base } = Change.parse(call.body ?? {});
  const { account } = authorOf(call);
  if (title !== undefined || (body !== undefined && body !== null)) {
    await editIssue(call, issue, account, { ...(title === undefined ? {} : { title }), ...(body == null ? {} : { body }) });
  }
  if (base !== undefined && issue.pull) {
    if ((await resolveRef(call.world, issue.repository.directory, `refs/heads/${base}`)) === null) {
      throw invalid({ resource: 'PullRequest', field: 'base', code: 'invalid' });
    }
    issue.pull.baseRef = base;
  }
  if (state === 'closed') await closeIssue(call, issue, account);
  if (state === 'open' && issue.state === 'closed') {
    if (issue.pull?.mergedAt) throw invalid({ resource: 'PullRequest', code: 'invalid', field: 'state' });
    issue.state = 'open';
    issue.closedAt = null;
    call.world.touch();
  }
  return { status: 200, body: await pullShape(call.world, issue) };
}

function list(call: Call) {
  const repository = repositoryOf(call);
  const state = call.query.get('state') ?? 'open';
  const head = call.query.get('head');
  const base = call.query.get('base');
  // As on GitHub: a head filter without its owner filters nothing.
  const branch = head?.includes(':') ? branchOf(repository.owner.login, head) : undefined;
  const all = call.world.issues.filter(
    (issue) =>
      issue.repository === repository &&
      issue.pull !== null &&
      (state === 'all' || issue.state === state) &&
      (branch === undefined || issue.pull.headRef === branch) &&
      (base === null || issue.pull.baseRef === base),
  );
  if (call.query.get('direction') !== 'asc') all.reverse();
  const { items, headers } = page(call, `/repos/${repository.owner.login}/${repository.name}/pulls`, all);
  return { status: 200, body: items.map((issue) => pullSimpleShape(call.world, issue)), headers };
}

export const pulls: Handlers = {
  'GET /repos/{owner}/{repo}/pulls': list,
  'POST /repos/{owner}/{repo}/pulls': create,
  'GET /repos/{owner}/{repo}/pulls/{pull_number}': async (call) => ({
    status: 200,
    body: await pullShape(call.world, pullOf(call)),
  }),
  'PATCH /repos/{owner}/{repo}/pulls/{pull_number}': change,
};
