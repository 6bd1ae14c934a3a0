/** What can be done to issues and their comments, by whomever; each change is announced to the apps. */
import type { Call, Context } from './call.ts';
import type { Account, Actor, App, Comment, Issue, PullDetails, Reaction, ReactionContent, Repository } from './entities.ts';
import { invalid } from './failure.ts';
import { roleOf } from './permissions.ts';
import { pullShape } from './pulls.ts';
import { accountShape, type Shape } from './represent.ts';
import { commentShape, issueShape, labelShape } from './represent-issue.ts';

/** Somebody who acts: an account, through an app or not. */
export interface Author {
  readonly account: Account;
  readonly via: App | null;
}

export function authorOf(call: Call): Author {
  const account = call.world.accountOf(call.actor);
  if (!account) throw invalid('an account is needed');
  return { account, via: viaOf(call.actor) };
}

const viaOf = (actor: Actor) => (actor.kind === 'installation' ? actor.token.installation.app : null);

export interface NewIssue {
  readonly title: string;
  readonly body: string | null;
  readonly pull: PullDetails | null;
}

/** Adds an issue, or the issue half of a pull request, without announcing it. */
export function addIssue({ world }: Context, repository: Repository, author: Author, given: NewIssue): Issue {
  const at = world.timestamp();
  const issue: Issue = {
    id: world.id(),
    number: repository.nextNumber,
    repository,
    author: author.account,
    via: author.via,
    title: given.title,
    body: given.body,
    state: 'open',
    labels: [],
    assignees: [],
    createdAt: at,
    updatedAt: at,
    closedAt: null,
    timeline: [],
    pull: given.pull,
  };
  repository.nextNumber += 1;
  world.issues.push(issue);
  world.touch();
  return issue;
}

function note({ world }: Context, issue: Issue, by: Account, what: string): void {
  issue.updatedAt = world.timestamp();
  issue.timeline.push({ at: issue.updatedAt, by: by.login, what });
  world.touch();
}

/** Announces an `issues` event, or for pull requests the `pull_request` one. */
async function announce(context: Context, issue: Issue, by: Account, action: string, extra: Shape = {}): Promise<void> {
  const { world, deliveries } = context;
  const subject = issue.pull
    ? { number: issue.number, pull_request: await pullShape(world, issue) }
    : { issue: issueShape(world, issue) };
  deliveries.emit({
    event: issue.pull ? 'pull_request' : 'issues',
    action,
    sender: by,
    repository: issue.repository,
    payload: { ...subject, ...extra },
  });
}

export async function openIssue(
  context: Context,
  repository: Repository,
  author: Author,
  title: string,
  body: string | null,
): Promise<Issue> {
  const issue = addIssue(context, repository, author, { title, body, pull: null });
  await announce(context, issue, author.account, 'opened');
  return issue;
}

export async function editIssue(
  context: Context,
  issue: Issue,
  by: Account,
  change: { title?: string; body?: string },
): Promise<void> {
  const { title, body } = issue;
  issue.title = change.title ?? issue.title;
  issue.body = change.body ?? issue.body;
  note(context, issue, by, 'edited this');
  const changes = {
    ...(change.title === undefined ? {} : { title: { from: title } }),
    ...(change.body === undefined ? {} : { body: { from: body ?? '' } }),
  };
  await announce(context, issue, by, 'edited', { changes });
}

export async function closeIssue(context: Context, issue: Issue, by: Account): Promise<void> {
  if (issue.state === 'closed') return;
  issue.state = 'closed';
  issue.closedAt = context.world.timestamp();
  note(context, issue, by, 'closed this');
  await announce(context, issue, by, 'closed');
}

export async function addLabel(context: Context, issue: Issue, by: Account, name: string): Promise<void> {
  const label = context.world.label(name);
  if (issue.labels.includes(label)) return;
  issue.labels.push(label);
  note(context, issue, by, `added the label ${label.name}`);
  await announce(context, issue, by, 'labeled', { label: labelShape(context.world, issue.repository, label) });
}

/** Gives false where the issue does not carry the label. */
export async function removeLabel(context: Context, issue: Issue, by: Account, name: string): Promise<boolean> {
  const label = issue.labels.find((known) => known.name.toLowerCase() === name.toLowerCase());
  if (!label) return false;
  issue.labels = issue.labels.filter((known) => known !== label);
  note(context, issue, by, `removed the label ${label.name}`);
  await announce(context, issue, by, 'unlabeled', { label: labelShape(context.world, issue.repository, label) });
  return true;
}

/**
 * Assigns those who can be assigned; GitHub passes over everybody else without a word, apps among them.
 * https://docs.github.com/en/rest/issues/assignees#add-assignees-to-an-issue
 */
export async function assign(context: Context, issue: Issue, by: Account, logins: readonly string[]): Promise<void> {
  for (const login of logins) {
    const account = context.world.account(login);
    if (!account || !assignable(issue.repository, account) || issue.assignees.includes(account)) continue;
    issue.assignees.push(account);
    note(context, issue, by, `assigned ${account.login}`);
    await announce(context, issue, by, 'assigned', { assignee: accountShape(context.world, account) });
  }
}

export function assignable(repository: Repository, account: Account): boolean {
  if (account.type !== 'User') return false;
  if (account === repository.owner) return true;
  return repository.collaborators.has(account.login.toLowerCase()) && roleOf(repository, account.login) !== null;
}

export function addComment(context: Context, issue: Issue, author: Author, body: string): Comment {
  const { world, deliveries } = context;
  const at = world.timestamp();
  const comment: Comment = {
    id: world.id(),
    issue,
    author: author.account,
    via: author.via,
    body,
    createdAt: at,
    updatedAt: at,
    edits: 0,
  };
  world.comments.push(comment);
  issue.updatedAt = at;
  world.touch();
  deliveries.emit({
    event: 'issue_comment',
    action: 'created',
    sender: author.account,
    repository: issue.repository,
    payload: { issue: issueShape(world, issue), comment: commentShape(world, comment) },
  });
  return comment;
}

export function editComment(context: Context, comment: Comment, by: Account, body: string): void {
  const { world, deliveries } = context;
  const changes = { body: { from: comment.body } };
  comment.body = body;
  comment.edits += 1;
  comment.updatedAt = world.timestamp();
  world.touch();
  deliveries.emit({
    event: 'issue_comment',
    action: 'edited',
    sender: by,
    repository: comment.issue.repository,
    payload: { changes, issue: issueShape(world, comment.issue), comment: commentShape(world, comment) },
  });
}

/** One account reacts once with one content; the second time finds the first again. */
export function react(
  { world }: Context,
  on: Issue | Comment,
  author: Account,
  content: ReactionContent,
): { reaction: Reaction; made: boolean } {
  const known = world.reactions.find((r) => r.on === on && r.author === author && r.content === content);
  if (known) return { reaction: known, made: false };
  const reaction = { id: world.id(), on, author, content, createdAt: world.timestamp() };
  world.reactions.push(reaction);
  world.touch();
  return { reaction, made: true };
}
