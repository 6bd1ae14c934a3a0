/**
 * Which permission each operation asks of an app.
 *
 * Source: https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps, and for git over HTTP
 * https://docs.github.com/en/apps/creating-github-apps/registering-a-github-app/choosing-permissions-for-a-github-app
 * Where an operation serves issues and pull requests alike, one of the two permissions is enough for a pull request.
 */
import type { Actor, Installation, Level, Permissions, Repository, Role } from './entities.ts';
import { ApiFailure, badCredentials, notAccessible, notFound } from './failure.ts';
import type { OperationName } from './served.ts';
import type { World } from './world.ts';

export interface Need {
  readonly permission: string;
  readonly level: Level;
  /** The least role that lets a user do it. */
  readonly role: Role;
}

/** `app`: with the app's JWT only. `installation`: with an installation token only. `anyone`: public. */
export type Rule = 'app' | 'installation' | 'anyone' | Need;

const need = (permission: string, level: Level, role: Role): Need => ({ permission, level, role });
const metadata = need('metadata', 'read', 'read');
const readContents = need('contents', 'read', 'read');
const writeContents = need('contents', 'write', 'write');
const readIssues = need('issues', 'read', 'read');
const writeIssues = need('issues', 'write', 'read');
const triage = need('issues', 'write', 'triage');
const readPulls = need('pull_requests', 'read', 'read');
const writePulls = need('pull_requests', 'write', 'write');
const readChecks = need('checks', 'read', 'read');
const writeChecks = need('checks', 'write', 'admin');

export const RULES: Readonly<Record<OperationName, Rule>> = {
  'GET /app': 'app',
  'POST /app-manifests/{code}/conversions': 'anyone',
  'GET /app/installations': 'app',
  'GET /app/installations/{installation_id}': 'app',
  'POST /app/installations/{installation_id}/access_tokens': 'app',
  'GET /app/hook/config': 'app',
  'GET /app/hook/deliveries': 'app',
  'GET /app/hook/deliveries/{delivery_id}': 'app',
  'POST /app/hook/deliveries/{delivery_id}/attempts': 'app',
  'GET /repos/{owner}/{repo}/installation': 'app',
  'DELETE /installation/token': 'installation',
  'GET /installation/repositories': 'installation',
  'GET /meta': 'anyone',
  'GET /rate_limit': 'anyone',
  'GET /users/{username}': 'anyone',
  'GET /repos/{owner}/{repo}': metadata,
  'GET /repos/{owner}/{repo}/collaborators/{username}/permission': metadata,
  'GET /repos/{owner}/{repo}/branches/{branch}': readContents,
  'GET /repos/{owner}/{repo}/git/ref/{ref}': readContents,
  'POST /repos/{owner}/{repo}/git/refs': writeContents,
  'DELETE /repos/{owner}/{repo}/git/refs/{ref}': writeContents,
  'GET /repos/{owner}/{repo}/git/commits/{commit_sha}': readContents,
  'GET /repos/{owner}/{repo}/git/trees/{tree_sha}': readContents,
  'GET /repos/{owner}/{repo}/git/blobs/{file_sha}': readContents,
  'POST /repos/{owner}/{repo}/issues': writeIssues,
  'GET /repos/{owner}/{repo}/issues/{issue_number}': readIssues,
  'PATCH /repos/{owner}/{repo}/issues/{issue_number}': triage,
  'POST /repos/{owner}/{repo}/issues/{issue_number}/assignees': triage,
  'GET /repos/{owner}/{repo}/issues/{issue_number}/comments': readIssues,
  'POST /repos/{owner}/{repo}/issues/{issue_number}/comments': writeIssues,
  'GET /repos/{owner}/{repo}/issues/comments/{comment_id}': readIssues,
  'PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}': writeIssues,
  'POST /repos/{owner}/{repo}/issues/{issue_number}/labels': triage,
  'DELETE /repos/{owner}/{repo}/issues/{issue_number}/labels/{name}': triage,
  'GET /repos/{owner}/{repo}/issues/{issue_number}/reactions': readIssues,
  'POST /repos/{owner}/{repo}/issues/{issue_number}/reactions': writeIssues,
  'DELETE /repos/{owner}/{repo}/issues/{issue_number}/reactions/{reaction_id}': writeIssues,
  'GET /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions': readIssues,
  'POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions': writeIssues,
  'DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions/{reaction_id}': writeIssues,
  'GET /repos/{owner}/{repo}/pulls': readPulls,
  'POST /repos/{owner}/{repo}/pulls': writePulls,
  'GET /repos/{owner}/{repo}/pulls/{pull_number}': readPulls,
  'PATCH /repos/{owner}/{repo}/pulls/{pull_number}': writePulls,
  'POST /repos/{owner}/{repo}/check-runs': writeChecks,
  'PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}': writeChecks,
  'GET /repos/{owner}/{repo}/check-runs/{check_run_id}': readChecks,
  'GET /repos/{owner}/{repo}/commits/{ref}/check-runs': readChecks,
};

/** What git over HTTP asks: `git-upload-pack` and `git-receive-pack`. */
export const GIT_RULES = { 'git-upload-pack': readContents, 'git-receive-pack': writeContents } as const;

const LEVELS: readonly Level[] = ['read', 'write', 'admin'];
const ROLES: readonly Role[] = ['read', 'triage', 'write', 'maintain', 'admin'];

export function grants(permissions: Permissions, permission: string, level: Level): boolean {
  const held = permission === 'metadata' ? (permissions['metadata'] ?? 'read') : permissions[permission];
  return held !== undefined && LEVELS.indexOf(held) >= LEVELS.indexOf(level);
}

/** A user's role in a repository; the owner is its admin, everybody reads what is public. */
export function roleOf(repository: Repository, login: string): Role | null {
  if (repository.owner.login.toLowerCase() === login.toLowerCase()) return 'admin';
  return repository.collaborators.get(login.toLowerCase()) ?? (repository.private ? null : 'read');
}

export const roleAtLeast = (role: Role | null, least: Role) => role !== null && ROLES.indexOf(role) >= ROLES.indexOf(least);

/** Whether a token reaches a repository: in the installation, and in the token's own narrower set. */
export function tokenReaches(world: World, actor: Actor, repository: Repository): boolean {
  if (actor.kind !== 'installation') return false;
  const { installation, repositoryIds } = actor.token;
  return world.covers(installation, repository) && (repositoryIds === null || repositoryIds.has(repository.id));
}

/** @throws ApiFailure unless the actor is of the kind that the operation wants. */
export function authorizeKind(actor: Actor, rule: Rule): void {
  if (rule === 'anyone') return;
  if (rule === 'app') {
    if (actor.kind !== 'app') throw new ApiFailure(401, 'A JSON web token could not be decoded');
  } else if (rule === 'installation') {
    if (actor.kind !== 'installation')
      throw actor.kind === 'user' ? notAccessible() : new ApiFailure(401, 'Requires authentication');
  } else if (actor.kind === 'app') throw badCredentials();
}

/**
 * Whether an actor may do something to a repository. `onPull`: the issue concerned is a pull request.
 * @throws ApiFailure 404 where the repository must not even be seen, 403 where the permission is missing.
 */
export function authorize(world: World, actor: Actor, wanted: Need, repository: Repository, onPull = false): void {
  const publicRead = !repository.private && wanted.level === 'read' && wanted !== metadata;
  if (actor.kind === 'installation') {
    if (!tokenReaches(world, actor, repository)) {
      if (repository.private) throw notFound();
      if (wanted.level !== 'read') throw notAccessible();
      return;
    }
    const held = actor.token.permissions;
    const enough =
      grants(held, wanted.permission, wanted.level) ||
      (onPull && wanted.permission === 'issues' && grants(held, 'pull_requests', wanted.level));
    if (!enough && !publicRead) throw notAccessible();
  } else if (actor.kind === 'user') {
    const role = roleOf(repository, actor.account.login);
    if (role === null) throw notFound();
    if (wanted === writeChecks) throw new ApiFailure(403, 'You must authenticate via a GitHub App.');
    if (!roleAtLeast(role, wanted.role)) throw new ApiFailure(403, `Must have ${wanted.role} rights to Repository.`);
  } else {
    if (repository.private) throw notFound();
    if (wanted.level !== 'read') throw new ApiFailure(401, 'Requires authentication');
  }
}

/** The installation of an app that covers a repository, if any. */
export function installationFor(world: World, appId: number, repository: Repository): Installation | undefined {
  return world.installations.find((known) => known.app.id === appId && world.covers(known, repository));
}
