/** https://docs.github.com/en/rest/repos , /branches, /collaborators and /users. */
import { type Handlers, param, repositoryOf } from '../call.ts';
import type { Repository, Role } from '../entities.ts';
import { ApiFailure, notFound } from '../failure.ts';
import { roleOf } from '../permissions.ts';
import { resolveRef } from '../pulls.ts';
import { accountShape, apiOf, pageOf, repositoryShape } from '../represent.ts';
import type { World } from '../world.ts';
import { gitCommitShape } from './git-data.ts';

/** The permission API knows four words; maintain counts as write, triage as read. */
const LEGACY: Readonly<Record<Role, string>> = {
  admin: 'admin',
  maintain: 'write',
  write: 'write',
  triage: 'read',
  read: 'read',
};

async function branchShape(world: World, repository: Repository, branch: string, sha: string) {
  const api = apiOf(world, repository);
  const commit = await gitCommitShape(world, repository, sha);
  const { tree, parents, author, committer, message, node_id, verification } = commit;
  const page = pageOf(world, repository);
  return {
    name: branch,
    commit: {
      sha,
      node_id,
      commit: { author, committer, message, tree, url: `${api}/git/commits/${sha}`, comment_count: 0, verification },
      url: `${api}/commits/${sha}`,
      html_url: `${page}/commit/${sha}`,
      comments_url: `${api}/commits/${sha}/comments`,
      author: null,
      committer: null,
      parents,
    },
    _links: { self: `${api}/branches/${branch}`, html: `${page}/tree/${branch}` },
    protected: false,
    protection: { enabled: false, required_status_checks: { enforcement_level: 'off', contexts: [], checks: [] } },
    protection_url: `${api}/branches/${branch}/protection`,
  };
}

export const repositories: Handlers = {
  'GET /repos/{owner}/{repo}': (call) => {
    const shape = repositoryShape(call.world, repositoryOf(call));
    return { status: 200, body: { ...shape, network_count: 0, subscribers_count: 0 } };
  },
  'GET /repos/{owner}/{repo}/branches/{branch}': async (call) => {
    const repository = repositoryOf(call);
    const branch = param(call, 'branch');
    const sha = await resolveRef(call.world, repository.directory, `refs/heads/${branch}`);
    if (sha === null) throw new ApiFailure(404, 'Branch not found');
    return { status: 200, body: await branchShape(call.world, repository, branch, sha) };
  },
  'GET /repos/{owner}/{repo}/collaborators/{username}/permission': (call) => {
    const repository = repositoryOf(call);
    const account = call.world.account(param(call, 'username'));
    if (!account) throw notFound();
    // Apps have no role in a repository; GitHub refuses the question rather than answering "none".
    if (account.type !== 'User') throw new ApiFailure(404, `${account.login} is not a user`);
    const role = roleOf(repository, account.login);
    const has = (...roles: Role[]) => role !== null && roles.includes(role);
    const user = {
      ...accountShape(call.world, account),
      permissions: {
        admin: has('admin'),
        maintain: has('admin', 'maintain'),
        push: has('admin', 'maintain', 'write'),
        triage: has('admin', 'maintain', 'write', 'triage'),
        pull: role !== null,
      },
      role_name: role ?? 'none',
    };
    return { status: 200, body: { permission: role === null ? 'none' : LEGACY[role], user, role_name: role ?? 'none' } };
  },
  'GET /users/{username}': (call) => {
    const account = call.world.account(param(call, 'username'));
    if (!account) throw notFound();
    return {
      status: 200,
      body: {
        ...accountShape(call.world, account),
        name: null,
        company: null,
        blog: '',
        location: null,
        email: null,
        hireable: null,
        bio: null,
        public_repos: 0,
        public_gists: 0,
        followers: 0,
        following: 0,
        created_at: '2024-01-01T00:00:00Z',
        updated_at: '2024-01-01T00:00:00Z',
      },
    };
  },
};
