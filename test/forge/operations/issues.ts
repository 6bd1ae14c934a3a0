/** https://docs.github.com/en/rest/issues and /reactions. */
import { z } from 'zod';
import { type Call, type Handler, type Handlers, numberParam, page, param, repositoryOf } from '../call.ts';
import { type Comment, type Issue, REACTIONS, type Repository } from '../entities.ts';
import { ApiFailure, invalid, notAccessible, notFound } from '../failure.ts';
import {
  addComment,
  addLabel,
  assign,
  assignable,
  authorOf,
  closeIssue,
  editComment,
  editIssue,
  openIssue,
  react,
  removeLabel,
} from '../issues.ts';
import { roleAtLeast, roleOf } from '../permissions.ts';
import { commentShape, issueShape, labelShape, reactionShape } from '../represent-issue.ts';

const MAX_BODY = 65_536;

/** @throws ApiFailure 404 */
export function issueOf(call: Call): Issue {
  const issue = call.world.issue(repositoryOf(call), numberParam(call, 'issue_number'));
  if (!issue) throw notFound();
  return issue;
}

/** @throws ApiFailure 404 */
export function commentOf(call: Call): Comment {
  const repository = repositoryOf(call);
  const comment = call.world.comments.find(
    (known) => known.id === numberParam(call, 'comment_id') && known.issue.repository === repository,
  );
  if (!comment) throw notFound();
  return comment;
}

const NewIssue = z.looseObject({
  title: z.union([z.string(), z.number()]).transform(String),
  body: z.string().nullish(),
  labels: z.array(z.union([z.string(), z.looseObject({ name: z.string() }).transform((label) => label.name)])).nullish(),
  assignees: z.array(z.string()).nullish(),
});
const Change = z.looseObject({
  title: z.string().nullish(),
  body: z.string().nullish(),
  state: z.enum(['open', 'closed']).optional(),
});
const Body = z.looseObject({ body: z.string() });
const Labels = z.union([
  z.array(z.string()),
  z
    .looseObject({ labels: z.array(z.union([z.string(), z.looseObject({ name: z.string() }).transform((l) => l.name)])) })
    .transform((l) => l.labels),
]);
const Assignees = z.looseObject({ assignees: z.array(z.string()).default([]) });
const NewReaction = z.looseObject({ content: z.enum(REACTIONS) });

function bodyOf(call: Call): string {
  const { body } = Body.parse(call.body);
  if (body.trim() === '')
    throw invalid({ resource: 'IssueComment', code: 'unprocessable', field: 'data', message: 'Body cannot be blank' });
  if (body.length > MAX_BODY) {
    const message = `Body is too long (maximum is ${MAX_BODY} characters)`;
    throw invalid({ resource: 'IssueComment', code: 'unprocessable', field: 'data', message });
  }
  return body;
}

const pathOf = (repository: Repository, rest: string) => `/repos/${repository.owner.login}/${repository.name}${rest}`;

async function createIssue(call: Call) {
  const repository = repositoryOf(call);
  const given = NewIssue.parse(call.body);
  const author = authorOf(call);
  for (const login of given.assignees ?? []) {
    const account = call.world.account(login);
    if (!account || !assignable(repository, account))
      throw invalid({ resource: 'Issue', field: 'assignees', code: 'invalid', value: login });
  }
  const issue = await openIssue(call, repository, author, given.title, given.body ?? null);
  for (const label of given.labels ?? []) await addLabel(call, issue, author.account, label);
  await assign(call, issue, author.account, given.assignees ?? []);
  return { status: 201, body: issueShape(call.world, issue) };
}

function listReactions(target: (call: Call) => Issue | Comment, path: (on: Issue | Comment) => string): Handler {
  return (call) => {
    const on = target(call);
    const content = call.query.get('content');
    const all = call.world.reactions.filter((known) => known.on === on && (content === null || known.content === content));
    const { items, headers } = page(call, path(on), all);
    return { status: 200, body: items.map((reaction) => reactionShape(call.world, reaction)), headers };
  };
}

function addReaction(target: (call: Call) => Issue | Comment): Handler {
  return (call) => {
    const { content } = NewReaction.parse(call.body);
    const { reaction, made } = react(call, target(call), authorOf(call).account, content);
    return { status: made ? 201 : 200, body: reactionShape(call.world, reaction) };
  };
}

function removeReaction(target: (call: Call) => Issue | Comment): Handler {
  return (call) => {
    const on = target(call);
    const at = call.world.reactions.findIndex((known) => known.on === on && known.id === numberParam(call, 'reaction_id'));
    const reaction = call.world.reactions[at];
    if (!reaction) throw notFound();
    if (reaction.author !== authorOf(call).account) throw notAccessible();
    call.world.reactions.splice(at, 1);
    call.world.touch();
    return { status: 204 };
  };
}

const issueReactions = (on: Issue | Comment) => ('issue' in on ? '' : pathOf(on.repository, `/issues/${on.number}/reactions`));
const commentReactions = (on: Issue | Comment) =>
  'issue' in on ? pathOf(on.issue.repository, `/issues/comments/${on.id}/reactions`) : '';

export const issues: Handlers = {
  'POST /repos/{owner}/{repo}/issues': createIssue,
  'GET /repos/{owner}/{repo}/issues/{issue_number}': (call) => ({ status: 200, body: issueShape(call.world, issueOf(call)) }),
  'PATCH /repos/{owner}/{repo}/issues/{issue_number}': async (call) => {
    const issue = issueOf(call);
    const { title, body, state } = Change.parse(call.body ?? {});
    const { account } = authorOf(call);
    if (title != null || body != null)
      await editIssue(call, issue, account, { ...(title == null ? {} : { title }), ...(body == null ? {} : { body }) });
    if (state === 'closed') await closeIssue(call, issue, account);
    return { status: 200, body: issueShape(call.world, issue) };
  },
  'POST /repos/{owner}/{repo}/issues/{issue_number}/assignees': async (call) => {
    const issue = issueOf(call);
    await assign(call, issue, authorOf(call).account, Assignees.parse(call.body ?? {}).assignees);
    return { status: 201, body: issueShape(call.world, issue) };
  },
  'GET /repos/{owner}/{repo}/issues/{issue_number}/comments': (call) => {
    const issue = issueOf(call);
    const all = call.world.comments.filter((comment) => comment.issue === issue);
    const { items, headers } = page(call, pathOf(issue.repository, `/issues/${issue.number}/comments`), all);
    return { status: 200, body: items.map((comment) => commentShape(call.world, comment)), headers };
  },
  'POST /repos/{owner}/{repo}/issues/{issue_number}/comments': (call) => {
    const comment = addComment(call, issueOf(call), authorOf(call), bodyOf(call));
    return { status: 201, body: commentShape(call.world, comment) };
  },
  'GET /repos/{owner}/{repo}/issues/comments/{comment_id}': (call) => ({
    status: 200,
    body: commentShape(call.world, commentOf(call)),
  }),
  'PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}': (call) => {
    const comment = commentOf(call);
    const { account } = authorOf(call);
    const byRole = roleAtLeast(roleOf(comment.issue.repository, account.login), 'write');
    if (comment.author !== account && !(call.actor.kind === 'user' && byRole)) throw notAccessible();
    editComment(call, comment, account, bodyOf(call));
    return { status: 200, body: commentShape(call.world, comment) };
  },
  'POST /repos/{owner}/{repo}/issues/{issue_number}/labels': async (call) => {
    const issue = issueOf(call);
    for (const name of Labels.parse(call.body)) await addLabel(call, issue, authorOf(call).account, name);
    return { status: 200, body: issue.labels.map((label) => labelShape(call.world, issue.repository, label)) };
  },
  'DELETE /repos/{owner}/{repo}/issues/{issue_number}/labels/{name}': async (call) => {
    const issue = issueOf(call);
    if (!(await removeLabel(call, issue, authorOf(call).account, param(call, 'name'))))
      throw new ApiFailure(404, 'Label does not exist');
    return { status: 200, body: issue.labels.map((label) => labelShape(call.world, issue.repository, label)) };
  },
  'GET /repos/{owner}/{repo}/issues/{issue_number}/reactions': listReactions(issueOf, issueReactions),
  'POST /repos/{owner}/{repo}/issues/{issue_number}/reactions': addReaction(issueOf),
  'DELETE /repos/{owner}/{repo}/issues/{issue_number}/reactions/{reaction_id}': removeReaction(issueOf),
  'GET /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions': listReactions(commentOf, commentReactions),
  'POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions': addReaction(commentOf),
  'DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions/{reaction_id}': removeReaction(commentOf),
};
