/** https://docs.github.com/en/rest/apps : the app itself, its installations, their tokens. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { type Call, type Handlers, numberParam, page, param, repositoryOf } from '../call.ts';
import type { App, Installation, InstallationToken, Level, Permissions, Repository } from '../entities.ts';
import { ApiFailure, notFound } from '../failure.ts';
import { grants, installationFor } from '../permissions.ts';
import { appShape, installationShape, repositoryShape, withMetadata } from '../represent.ts';
import type { World } from '../world.ts';

const TOKEN_LIFE_MS = 3_600_000;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

const TokenRequest = z.looseObject({
  repositories: z.array(z.string()).optional(),
  repository_ids: z.array(z.number()).optional(),
  permissions: z.record(z.string(), z.enum(['read', 'write', 'admin'])).optional(),
});

function appOf(call: Call): App {
  const app = call.world.appOf(call.actor);
  if (!app) throw notFound();
  return app;
}

function installationOf(call: Call): Installation {
  const app = appOf(call);
  const found = call.world.installations.find((known) => known.id === numberParam(call, 'installation_id') && known.app === app);
  if (!found) throw notFound();
  return found;
}

/** A token as GitHub makes them: 40 characters, or the longer dotted form. Receivers must not count on either. */
function newToken(world: World, appId: number): string {
  const random = (length: number) => Array.from(randomBytes(length), (byte) => ALPHABET[byte % ALPHABET.length]).join('');
  if (world.tokenForm === 'short') return `ghs_${random(36)}`;
  return `ghs_${appId}_${random(120)}.${random(300)}.${random(86)}`;
}

/** The permissions of a new token. @throws ApiFailure 422 for more than the installation has. */
function narrowed(installation: Installation, asked: Permissions | undefined): Permissions {
  if (asked === undefined) return withMetadata(installation.permissions);
  const beyond = Object.entries(asked).some(([name, level]) => !grants(installation.permissions, name, level));
  if (beyond) throw new ApiFailure(422, 'The permissions requested are not granted to this installation.');
  const kept: Record<string, Level> = { ...asked };
  return withMetadata(kept);
}

/** The repositories of a new token; null when it is not narrowed. @throws ApiFailure 422 for one out of reach. */
function chosen(world: World, installation: Installation, asked: z.infer<typeof TokenRequest>): Repository[] | null {
  if (asked.repositories === undefined && asked.repository_ids === undefined) return null;
  const reachable = world.repositories.filter((repository) => world.covers(installation, repository));
  const named = (asked.repositories ?? []).map((name) =>
    reachable.find((known) => known.name.toLowerCase() === name.toLowerCase()),
  );
  const numbered = (asked.repository_ids ?? []).map((id) => reachable.find((known) => known.id === id));
  const found = [...named, ...numbered].filter((repository) => repository !== undefined);
  if (found.length !== named.length + numbered.length) {
    throw new ApiFailure(
      422,
      'There is at least one repository that does not exist or is not accessible to the parent installation.',
    );
  }
  return [...new Set(found)];
}

function createToken(call: Call) {
  const { world } = call;
  const installation = installationOf(call);
  const asked = TokenRequest.parse(call.body ?? {});
  const permissions = narrowed(installation, asked.permissions);
  const repositories = chosen(world, installation, asked);
  const now = world.now();
  const token: InstallationToken = {
    id: world.id(),
    token: newToken(world, installation.app.id),
    installation,
    permissions,
    repositoryIds: repositories === null ? null : new Set(repositories.map((repository) => repository.id)),
    createdAt: now,
    expiresAt: now + (world.tokenLifeMs() ?? TOKEN_LIFE_MS),
    revokedAt: null,
  };
  world.tokens.push(token);
  world.touch();
  return {
    status: 201,
    body: {
      token: token.token,
      expires_at: world.timestamp(token.expiresAt),
      permissions,
      repository_selection: repositories === null && installation.repositoryIds === null ? 'all' : 'selected',
      ...(repositories === null ? {} : { repositories: repositories.map((repository) => repositoryShape(world, repository)) }),
    },
  };
}

export const apps: Handlers = {
  'GET /app': (call) => {
    const app = appOf(call);
    const count = call.world.installations.filter((known) => known.app === app).length;
    return { status: 200, body: { ...appShape(call.world, app), installations_count: count } };
  },
  'GET /app/installations': (call) => {
    const app = appOf(call);
    const mine = call.world.installations.filter((known) => known.app === app);
    const { items, headers } = page(call, '/app/installations', mine);
    return { status: 200, body: items.map((known) => installationShape(call.world, known)), headers };
  },
  'GET /app/installations/{installation_id}': (call) => ({
    status: 200,
    body: installationShape(call.world, installationOf(call)),
  }),
  'POST /app/installations/{installation_id}/access_tokens': createToken,
  'POST /app-manifests/{code}/conversions': (call) => {
    const made = call.world.manifests.get(param(call, 'code'));
    if (!made) throw notFound();
    call.world.manifests.delete(param(call, 'code'));
    const { app, privateKey, clientSecret } = made;
    return {
      status: 201,
      body: {
        ...appShape(call.world, app),
        client_secret: clientSecret,
        webhook_secret: app.webhookSecret,
        pem: privateKey,
      },
    };
  },
  'GET /repos/{owner}/{repo}/installation': (call) => {
    const found = installationFor(call.world, appOf(call).id, repositoryOf(call));
    if (!found) throw notFound();
    return { status: 200, body: installationShape(call.world, found) };
  },
  'DELETE /installation/token': (call) => {
    if (call.actor.kind === 'installation') call.actor.token.revokedAt = call.world.now();
    call.world.touch();
    return { status: 204 };
  },
  'GET /installation/repositories': (call) => {
    const { actor, world } = call;
    if (actor.kind !== 'installation') throw notFound();
    const { installation, repositoryIds } = actor.token;
    const reached = world.repositories.filter(
      (known) => world.covers(installation, known) && (repositoryIds === null || repositoryIds.has(known.id)),
    );
    const { items, headers } = page(call, '/installation/repositories', reached);
    return {
      status: 200,
      body: {
        total_count: reached.length,
        repository_selection: installation.repositoryIds === null ? 'all' : 'selected',
        repositories: items.map((known) => repositoryShape(world, known)),
      },
      headers,
    };
  },
};
