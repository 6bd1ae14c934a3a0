import { createHash } from 'node:crypto';
import { call, statusOf } from './failure.ts';
import type { Octokits } from './octokit.ts';
import type { Repository } from './repository.ts';

/** Permissions that coatcheck ever asks for; GitHub grants no more than the App itself has. */
export interface TokenPermissions {
  contents?: 'read' | 'write';
  issues?: 'read' | 'write';
  pull_requests?: 'read' | 'write';
  checks?: 'read' | 'write';
  metadata?: 'read';
}

export interface TokenScope {
  repositoryId: number;
  permissions: TokenPermissions;
}

export interface MintedToken {
  token: string;
  expiresAt: string;
  /** The first 12 hexadecimal digits of the token's SHA-256: names it and tells nothing of it. */
  id: string;
}

/** What becomes of a token, without the token. */
export type CredentialNote =
  | { what: 'minted'; id: string; installation: number; scope: TokenScope; expiresAt: string }
  | { what: 'revoked'; id: string; gone: boolean };

export const tokenId = (token: string): string => createHash('sha256').update(token).digest('hex').slice(0, 12);

export interface Tokens {
  mint: (installation: number, scope: TokenScope, signal?: AbortSignal) => Promise<MintedToken>;
  /** A token for the one repository of this name, and which that is; null when the installation covers none. */
  mintNamed: (
    installation: number,
    name: string,
    permissions: TokenPermissions,
    signal?: AbortSignal,
  ) => Promise<{ token: MintedToken; repository: Repository } | null>;
  revoke: (token: string, signal?: AbortSignal) => Promise<boolean>;
}

/**
 * Installation tokens, made one by one through the App's own client. Octokit's own authentication is passed by: it keeps
 * one token for several callers, and revoking one's would take the other's.
 * https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app
 */
export function openTokens(octokits: Octokits, onCredential: (note: CredentialNote) => void): Tokens {
  return {
    async mint(installation, scope, signal) {
      const minted = await call('Making a repository token', signal, async () => {
        const app = await octokits.app();
        const { data } = await app.rest.apps.createInstallationAccessToken({
          installation_id: installation,
          repository_ids: [scope.repositoryId],
          permissions: { ...scope.permissions },
          request: signal === undefined ? {} : { signal },
        });
        return { token: data.token, expiresAt: data.expires_at, id: tokenId(data.token) };
      });
      onCredential({ what: 'minted', id: minted.id, installation, scope, expiresAt: minted.expiresAt });
      return minted;
    },

    async mintNamed(installation, name, permissions, signal) {
      const made = await call('Making a repository token', signal, async () => {
        const app = await octokits.app();
        try {
          const { data } = await app.rest.apps.createInstallationAccessToken({
            installation_id: installation,
            repositories: [name],
            permissions: { ...permissions },
            request: signal === undefined ? {} : { signal },
          });
          const [found] = data.repositories ?? [];
          if (found === undefined) throw new Error('GitHub did not say which repository the token is for.');
          const token = { token: data.token, expiresAt: data.expires_at, id: tokenId(data.token) };
          return { token, repository: { id: found.id, owner: found.owner.login, name: found.name } };
        } catch (error) {
          // Other refusals of this status are no word about the repository.
          if (statusOf(error) === 422 && /does not exist or is not accessible/i.test(String(error))) return null;
          throw error;
        }
      });
      if (made === null) return null;
      const { id, expiresAt } = made.token;
      onCredential({ what: 'minted', id, installation, scope: { repositoryId: made.repository.id, permissions }, expiresAt });
      return made;
    },

    async revoke(token, signal) {
      const gone = await call('Revoking a token', signal, async () => {
        const octokit = octokits.withToken('revoke', () => Promise.resolve(token));
        try {
          return (
            (await octokit.rest.apps.revokeInstallationAccessToken({ request: signal === undefined ? {} : { signal } }))
              .status === 204
          );
        } catch (error) {
          // Expired, revoked before, or its installation is gone: GitHub knows it no longer.
          if (statusOf(error) === 401) return true;
          throw error;
        }
      }).catch((error: unknown) => {
        signal?.throwIfAborted();
        onCredential({ what: 'revoked', id: tokenId(token), gone: false });
        throw error;
      });
      onCredential({ what: 'revoked', id: tokenId(token), gone });
      return gone;
    },
  };
}
