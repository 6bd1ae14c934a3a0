/** Everything the forge knows, as JSON: what tests wait for and assert on. */
import { z } from 'zod';
import { refsOf } from './git-store.ts';
import type { Misbehaviour } from './misbehave.ts';
import type { World } from './world.ts';

const Permissions = z.record(z.string(), z.string());
const Reactions = z.array(z.object({ user: z.string(), content: z.string() }));

export const ForgeState = z.object({
  version: z.int(),
  installations: z.array(z.object({ id: z.int(), app: z.string(), account: z.string() })),
  tokens: z.array(
    z.object({
      id: z.int(),
      token: z.string(),
      installation: z.int(),
      permissions: Permissions,
      /** Names; null when not narrowed. */
      repositories: z.array(z.string()).nullable(),
      createdAt: z.int(),
      expiresAt: z.int(),
      state: z.enum(['live', 'revoked', 'expired']),
    }),
  ),
  repositories: z.array(
    z.object({
      id: z.int(),
      fullName: z.string(),
      defaultBranch: z.string(),
      private: z.boolean(),
      /** Commit ids by full ref name. */
      refs: z.record(z.string(), z.string()),
    }),
  ),
  issues: z.array(
    z.object({
      id: z.int(),
      repository: z.string(),
      number: z.int(),
      title: z.string(),
      body: z.string().nullable(),
      author: z.string(),
      state: z.string(),
      labels: z.array(z.string()),
      assignees: z.array(z.string()),
      reactions: Reactions,
      timeline: z.array(z.object({ at: z.string(), by: z.string(), what: z.string() })),
      comments: z.array(z.object({ id: z.int(), author: z.string(), body: z.string(), edits: z.int(), reactions: Reactions })),
      /** Set for pull requests. */
      pull: z
        .object({
          draft: z.boolean(),
          head: z.string(),
          headSha: z.string(),
          base: z.string(),
          baseSha: z.string(),
          merged: z.boolean(),
        })
        .nullable(),
      url: z.string(),
    }),
  ),
  checkRuns: z.array(
    z.object({
      id: z.int(),
      repository: z.string(),
      app: z.string(),
      name: z.string(),
      headSha: z.string(),
      status: z.string(),
      conclusion: z.string().nullable(),
      detailsUrl: z.string().nullable(),
      externalId: z.string(),
      title: z.string().nullable(),
      summary: z.string().nullable(),
      text: z.string().nullable(),
      url: z.string(),
    }),
  ),
  deliveries: z.array(
    z.object({
      id: z.int(),
      guid: z.string(),
      event: z.string(),
      action: z.string().nullable(),
      redelivery: z.boolean(),
      status: z.string(),
      statusCode: z.int(),
      response: z.string(),
    }),
  ),
  requests: z.array(
    z.object({
      at: z.string(),
      method: z.string(),
      path: z.string(),
      operation: z.string().nullable(),
      actor: z.string(),
      body: z.unknown(),
      status: z.int(),
    }),
  ),
  /** Requests for operations that the forge does not know. */
  unsupported: z.array(z.string()),
  /** Answers and payloads of the forge that do not fit GitHub's description: a fault of the forge. */
  offences: z.array(z.object({ at: z.string(), operation: z.string(), message: z.string() })),
  misbehaviour: z.array(z.object({ id: z.int(), action: z.string(), hits: z.int(), holding: z.int() })),
});
export type ForgeState = z.infer<typeof ForgeState>;

export async function snapshot(world: World, misbehaviour: Misbehaviour): Promise<ForgeState> {
  const version = world.version;
  const fullName = (repository: { owner: { login: string }; name: string }) => `${repository.owner.login}/${repository.name}`;
  const reactionsOn = (on: unknown) =>
    world.reactions.filter((known) => known.on === on).map(({ author, content }) => ({ user: author.login, content }));
  const repositories = await Promise.all(
    world.repositories.map(async (repository) => ({
      id: repository.id,
      fullName: fullName(repository),
      defaultBranch: repository.defaultBranch,
      private: repository.private,
      refs: Object.fromEntries(await refsOf(world.directory, repository.directory)),
    })),
  );
  return {
    version,
    repositories,
    installations: world.installations.map(({ id, app, account }) => ({ id, app: app.slug, account: account.login })),
    tokens: world.tokens.map((token) => ({
      id: token.id,
      token: token.token,
      installation: token.installation.id,
      permissions: token.permissions,
      repositories:
        token.repositoryIds === null ? null : world.repositories.filter(({ id }) => token.repositoryIds?.has(id)).map(fullName),
      createdAt: token.createdAt,
      expiresAt: token.expiresAt,
      state: token.revokedAt !== null ? 'revoked' : token.expiresAt <= world.now() ? 'expired' : 'live',
    })),
    issues: world.issues.map((issue) => ({
      id: issue.id,
      repository: fullName(issue.repository),
      number: issue.number,
      title: issue.title,
      body: issue.body,
      author: issue.author.login,
      state: issue.state,
      labels: issue.labels.map((label) => label.name),
      assignees: issue.assignees.map((account) => account.login),
      reactions: reactionsOn(issue),
      timeline: issue.timeline.map((moment) => ({ ...moment })),
      comments: world.comments
        .filter((comment) => comment.issue === issue)
        .map((comment) => ({
          id: comment.id,
          author: comment.author.login,
          body: comment.body,
          edits: comment.edits,
          reactions: reactionsOn(comment),
        })),
      pull: issue.pull && {
        draft: issue.pull.draft,
        head: issue.pull.headRef,
        headSha: issue.pull.headSha,
        base: issue.pull.baseRef,
        baseSha: issue.pull.baseSha,
        merged: issue.pull.mergedAt !== null,
      },
      url: `${world.url}/${fullName(issue.repository)}/${issue.pull ? 'pull' : 'issues'}/${issue.number}`,
    })),
    checkRuns: world.checkRuns.map((run) => ({
      id: run.id,
      repository: fullName(run.repository),
      app: run.app.slug,
      name: run.name,
      headSha: run.headSha,
      status: run.status,
      conclusion: run.conclusion,
      detailsUrl: run.detailsUrl,
      externalId: run.externalId,
      ...run.output,
      url: `${world.url}/${fullName(run.repository)}/runs/${run.id}`,
    })),
    deliveries: world.deliveries.map(({ id, guid, event, action, redelivery, status, statusCode, response }) => ({
      id,
      guid,
      event,
      action,
      redelivery,
      status,
      statusCode,
      response: response.body,
    })),
    requests: world.requests.map((request) => ({ ...request })),
    unsupported: world.requests
      .filter((request) => request.operation === null)
      .map((request) => `${request.method} ${request.path}`),
    offences: [...world.offences],
    misbehaviour: misbehaviour.snapshot(),
  };
}
