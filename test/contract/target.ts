/** Where the expectations about GitHub are tried: on the forge, or on a real one. */
import { createSign } from 'node:crypto';
import { Octokit } from '@octokit/rest';

export interface Target {
  /** Base URL of the API. */
  readonly api: string;
  /** Base URL of git and pages. */
  readonly web: string;
  readonly app: { readonly id: number; readonly privateKey: string };
  /** A private repository that the App is installed on; its default branch has at least one file. */
  readonly repository: { readonly owner: string; readonly name: string };
  /** Another one of the same installation; null where there is none. */
  readonly second: { readonly owner: string; readonly name: string } | null;
  /** A private repository that the installation does not cover, or one that does not exist: nobody can tell. */
  readonly outside: { readonly owner: string; readonly name: string };
  close(): Promise<void>;
}

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export interface JwtOptions {
  readonly privateKey?: string;
  readonly lifeSeconds?: number;
}

/** A client that calls as the App itself. */
export function asApp(target: Target, options: JwtOptions = {}): Octokit {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const claims = { iat: now - 30, exp: now - 30 + (options.lifeSeconds ?? 300), iss: String(target.app.id) };
  const signed = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}`;
  const signature = createSign('RSA-SHA256')
    .update(signed)
    .sign(options.privateKey ?? target.app.privateKey, 'base64url');
  return asToken(target, `${signed}.${signature}`);
}

export function asToken(target: Target, token: string): Octokit {
  return new Octokit({ auth: token, baseUrl: target.api, log: silent });
}

export interface Scope {
  readonly permissions?: Record<string, 'read' | 'write'>;
  readonly repositories?: string[];
}

/** A fresh installation token, by default for the target's repository with all that the App has. */
export async function mint(target: Target, scope: Scope = {}) {
  const app = asApp(target);
  const { owner, name } = target.repository;
  const installation = await app.apps.getRepoInstallation({ owner, repo: name });
  const answer = await app.apps.createInstallationAccessToken({
    installation_id: installation.data.id,
    repositories: scope.repositories ?? [name],
    ...(scope.permissions ? { permissions: scope.permissions } : {}),
  });
  return { ...answer.data, octokit: asToken(target, answer.data.token) };
}
