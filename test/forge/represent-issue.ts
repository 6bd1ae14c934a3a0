/** How issues and what is said on them look in answers and payloads. */
import { type Account, type Comment, type Issue, type Label, REACTIONS, type Reaction, type Repository } from './entities.ts';
import { roleOf } from './permissions.ts';
import { accountShape, apiOf, appShape, pageOf, type Shape } from './represent.ts';
import { nodeId, type World } from './world.ts';

export function labelShape(world: World, repository: Repository, label: Label): Shape {
  return {
    id: label.id,
    node_id: nodeId('LA', label.id),
    url: `${apiOf(world, repository)}/labels/${encodeURIComponent(label.name)}`,
    name: label.name,
    color: 'ededed',
    default: false,
    description: null,
  };
}

export function rollupShape(world: World, of: Issue | Comment, url: string): Shape {
  const mine = world.reactions.filter((reaction) => reaction.on === of);
  const counts = REACTIONS.map((content) => [content, mine.filter((reaction) => reaction.content === content).length]);
  return { url: `${url}/reactions`, total_count: mine.length, ...Object.fromEntries(counts) };
}

export function associationOf(repository: Repository, account: Account): string {
  if (account === repository.owner) return 'OWNER';
  if (account.type === 'Bot') return 'NONE';
  return repository.collaborators.has(account.login.toLowerCase()) && roleOf(repository, account.login) ? 'COLLABORATOR' : 'NONE';
}

export function issueShape(world: World, issue: Issue): Shape {
  const { repository } = issue;
  const url = `${apiOf(world, repository)}/issues/${issue.number}`;
  const page = `${pageOf(world, repository)}/${issue.pull ? 'pull' : 'issues'}/${issue.number}`;
  const assignees = issue.assignees.map((account) => accountShape(world, account));
  return {
    url,
    repository_url: apiOf(world, repository),
    labels_url: `${url}/labels{/name}`,
    comments_url: `${url}/comments`,
    events_url: `${url}/events`,
    html_url: page,
    id: issue.id,
    node_id: nodeId(issue.pull ? 'PR' : 'I', issue.id),
    number: issue.number,
    title: issue.title,
    user: accountShape(world, issue.author),
    labels: issue.labels.map((label) => labelShape(world, repository, label)),
    state: issue.state,
    locked: false,
    assignee: assignees[0] ?? null,
    assignees,
    milestone: null,
    comments: world.comments.filter((comment) => comment.issue === issue).length,
    created_at: issue.createdAt,
    updated_at: issue.updatedAt,
    closed_at: issue.closedAt,
    author_association: associationOf(repository, issue.author),
    active_lock_reason: null,
    body: issue.body,
    reactions: rollupShape(world, issue, url),
    timeline_url: `${url}/timeline`,
    performed_via_github_app: issue.via ? appShape(world, issue.via) : null,
    state_reason: issue.state === 'closed' ? 'completed' : null,
    ...(issue.pull ? { pull_request: pullLinks(world, issue), draft: issue.pull.draft } : {}),
  };
}

function pullLinks(world: World, issue: Issue): Shape {
  const page = `${pageOf(world, issue.repository)}/pull/${issue.number}`;
  return {
    url: `${apiOf(world, issue.repository)}/pulls/${issue.number}`,
    html_url: page,
    diff_url: `${page}.diff`,
    patch_url: `${page}.patch`,
    merged_at: issue.pull?.mergedAt ?? null,
  };
}

export function commentShape(world: World, comment: Comment): Shape {
  const { repository } = comment.issue;
  const url = `${apiOf(world, repository)}/issues/comments/${comment.id}`;
  const page = `${pageOf(world, repository)}/${comment.issue.pull ? 'pull' : 'issues'}/${comment.issue.number}`;
  return {
    url,
    html_url: `${page}#issuecomment-${comment.id}`,
    issue_url: `${apiOf(world, repository)}/issues/${comment.issue.number}`,
    id: comment.id,
    node_id: nodeId('IC', comment.id),
    user: accountShape(world, comment.author),
    created_at: comment.createdAt,
    updated_at: comment.updatedAt,
    author_association: associationOf(repository, comment.author),
    body: comment.body,
    reactions: rollupShape(world, comment, url),
    performed_via_github_app: comment.via ? appShape(world, comment.via) : null,
  };
}

export function reactionShape(world: World, reaction: Reaction): Shape {
  return {
    id: reaction.id,
    node_id: nodeId('REA', reaction.id),
    user: accountShape(world, reaction.author),
    content: reaction.content,
    created_at: reaction.createdAt,
  };
}
