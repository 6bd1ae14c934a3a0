import { createHash } from 'node:crypto';
import { call, statusOf } from './failure.ts';
import type { Octokits } from './octokit.ts';

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
