import type { z } from 'zod';
import type { Actor, RepositoryRef } from '../task/task.ts';
import { CommentDelivery, IssueDelivery, Outline, Place, type Repository } from './payload.ts';
import { snapshotIssue } from './snapshot.ts';
import { asksToStop } from './stop-command.ts';
import type { RefusedTrigger, Trigger, TriggerSettings } from './trigger.ts';

export type { Trigger, TriggerSettings } from './trigger.ts';

const ignored = (why: string): Trigger => ({ kind: 'ignored', why });
const sameName = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/**
 * Reads one delivery whose signature has been verified. Total: whatever the payload is, it returns and does not throw.
 * The sender's permission and the base commit are not in a payload; the control plane asks GitHub for them afterwards.
 */
export function readDelivery(event: string, payload: unknown, settings: TriggerSettings): Trigger {
  if (event !== 'issues' && event !== 'issue_comment') return ignored(`no use is made of ${event} deliveries`);
  const outline = Outline.safeParse(payload);
  if (!outline.success) return ignored('the payload is not an object');
  if (outline.data.sender?.id === settings.botUserId) return ignored('own action');
  return event === 'issues' ? readIssues(payload, outline.data, settings) : readComment(payload, outline.data, settings);
}

function readIssues(payload: unknown, outline: Outline, settings: TriggerSettings): Trigger {
  const { action, label, assignee } = outline;
  if (action === 'labeled') {
    if (label === undefined || !sameName(label.name, settings.label)) return ignored('another label');
    return readTask(payload, 'issues.labeled', label.name);
  }
  if (action === 'assigned') {
    if (settings.assignee === null) return ignored('no assignee is configured');
    if (assignee === undefined || !sameName(assignee.login, settings.assignee)) return ignored('another assignee');
    return readTask(payload, 'issues.assigned', undefined);
  }
  return ignored(`no use is made of issues.${action ?? '(none)'}`);
}

function readTask(payload: unknown, trigger: 'issues.labeled' | 'issues.assigned', label: string | undefined): Trigger {
  const read = IssueDelivery.safeParse(payload);
  if (!read.success) return refused(payload, `The delivery from GitHub could not be read: ${firstProblem(read.error)}.`);
  const { issue, repository, sender } = read.data;
  const why = reasonAgainst(read.data);
  if (why !== null) return refused(payload, why);
  return {
    kind: 'task',
    trigger,
    installation: read.data.installation.id,
    repository: repositoryRef(repository),
    actor: actorOf(sender),
    issue: snapshotIssue({
      number: issue.number,
      title: issue.title,
      body: issue.body ?? null,
      author: issue.user == null ? null : actorOf(issue.user),
    }),
    ...(label === undefined ? {} : { label }),
  };
}

/** Why this issue, in this repository, gets no task, in words for the one who asked; null when nothing speaks against it. */
function reasonAgainst({ issue, repository, sender }: IssueDelivery): string | null {
  if (issue.pull_request != null) return 'This is a pull request; coatcheck takes work from issues only.';
  if (repository.archived === true || repository.disabled === true)
    return 'The repository is archived or disabled: nothing can be pushed.';
  if (issue.state !== undefined && issue.state !== 'open') return 'The issue is closed. Reopen it and ask again.';
  if (sender.type === 'Bot' || sender.login.endsWith('[bot]')) {
    return `${sender.login} is a bot. A person with write permission has to ask.`;
  }
  return null;
}

function readComment(payload: unknown, outline: Outline, settings: TriggerSettings): Trigger {
  if (outline.action !== 'created') return ignored(`no use is made of issue_comment.${outline.action ?? '(none)'}`);
  if (outline.comment?.performed_via_github_app?.id === settings.appId) return ignored('own comment');
  if (!asksToStop(outline.comment?.body ?? '', settings.appSlug)) return ignored('the comment holds no command');
  const read = CommentDelivery.safeParse(payload);
  if (!read.success) return refused(payload, `The delivery from GitHub could not be read: ${firstProblem(read.error)}.`);
  const { installation, repository, sender, issue, comment } = read.data;
  if (sender.type === 'Bot' || sender.login.endsWith('[bot]')) return ignored('a bot gives no commands');
  return {
    kind: 'stop',
    installation: installation.id,
    repository: repositoryRef(repository),
    actor: actorOf(sender),
    issue: issue.number,
    onPullRequest: issue.pull_request != null,
    commentId: comment.id,
  };
}

function refused(payload: unknown, why: string): RefusedTrigger {
  const place = Place.safeParse(payload);
  if (!place.success) return { kind: 'refused', why, at: null };
  const { installation, repository, sender, issue } = place.data;
  const at = {
    installation: installation.id,
    repository: repositoryRef(repository),
    actor: actorOf(sender),
    issue: issue.number,
  };
  return { kind: 'refused', why, at };
}

const actorOf = (user: { id: number; login: string }): Actor => ({ id: user.id, login: user.login });

const repositoryRef = (repository: Repository): RepositoryRef => ({
  id: repository.id,
  owner: repository.owner.login,
  name: repository.name,
  private: repository.private,
  defaultBranch: repository.default_branch,
});

function firstProblem(error: z.ZodError): string {
  const issue = error.issues[0];
  return issue === undefined ? 'unknown' : `${issue.path.join('.') || 'payload'}: ${issue.message}`;
}
