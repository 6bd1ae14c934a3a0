import { call, statusOf } from './failure.ts';
import type { Access } from './repository.ts';

export const ROLES = ['admin', 'maintain', 'write', 'triage', 'read', 'none'] as const;
export type Role = (typeof ROLES)[number];

/**
 * What a person may do in the repository, by GitHub's permission API; organisation and team roles are taken in. A role of
 * the organisation's own making counts as the one it is based on. Bots have `none`, and so has, where `id` is given, whoever took over the login.
 * https://docs.github.com/en/rest/collaborators/collaborators#get-repository-permissions-for-a-user
 */
export async function permissionOf({ octokit, at, signal }: Access, login: string, id?: number): Promise<Role> {
  if (login.endsWith('[bot]')) return 'none';
  return call(`Reading the permission of ${login}`, signal, async () => {
    try {
      const { data } = await octokit.rest.repos.getCollaboratorPermissionLevel({ ...at, username: login });
      if (data.user === null || (id !== undefined && data.user.id !== id) || data.user.type === 'Bot') return 'none';
      return roleOf(data.role_name) ?? roleOf(data.permission) ?? 'none';
    } catch (error) {
      if (statusOf(error) === 404) return 'none';
      throw error;
    }
  });
}

const roleOf = (name: string): Role | undefined => ROLES.find((role) => role === name);
