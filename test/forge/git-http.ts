/**
 * Git's smart HTTP protocol by git's own `http-backend`, behind the same tokens as the API.
 *
 * https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/authenticating-as-a-github-app-installation#about-authentication-as-a-github-app-installation
 * (HTTP Basic with the token as password, any user name).
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import path from 'node:path';
import { identify } from './auth.ts';
import type { Context } from './call.ts';
import type { Actor, Repository } from './entities.ts';
import { ApiFailure } from './failure.ts';
import { gitEnvironment, refsOf } from './git-store.ts';
import { authorize, GIT_RULES, grants } from './permissions.ts';
import { refsChanged } from './pushes.ts';
import { explainRefusals } from './report-status.ts';

export type GitService = keyof typeof GIT_RULES;

export interface GitRequest {
  readonly owner: string;
  readonly name: string;
  readonly service: GitService;
  readonly info: boolean;
}

/** Null for what is not git. */
export function matchGit(method: string, url: URL): GitRequest | null {
  const found = /^\/([^/]+)\/([^/]+?)(?:\.git)?\/(info\/refs|git-upload-pack|git-receive-pack)$/.exec(url.pathname);
  if (!found) return null;
  const [, owner = '', name = '', end = ''] = found;
  const info = end === 'info/refs';
  if (method !== (info ? 'GET' : 'POST')) return null;
  const service = info ? url.searchParams.get('service') : end;
  return service === 'git-upload-pack' || service === 'git-receive-pack' ? { owner, name, service, info } : null;
}

export interface GitAccess {
  readonly actor: Actor;
  readonly repository: Repository | null;
  /** Null when allowed. */
  readonly refusal: { readonly status: number; readonly text: string } | null;
}

const refusedAs = (actor: Actor, repository: Repository | null, status: number, text: string): GitAccess => ({
  actor,
  repository,
  refusal: { status, text },
});

/** Whether this request may go on to git, in the words that git's users know from GitHub. */
export function gitAccess({ world }: Context, request: GitRequest, authorization: string | undefined): GitAccess {
  const repository = world.repository(request.owner, request.name) ?? null;
  let actor: Actor = { kind: 'anonymous' };
  try {
    actor = identify(world, authorization);
    if (actor.kind === 'app') throw new ApiFailure(401, '');
  } catch {
    return refusedAs(
      actor,
      repository,
      401,
      'Invalid username or token. Password authentication is not supported for Git operations.',
    );
  }
  const wanted = GIT_RULES[request.service];
  try {
    if (!repository) throw new ApiFailure(404, '');
    authorize(world, actor, wanted, repository);
    return { actor, repository, refusal: null };
  } catch (thrown) {
    const status = thrown instanceof ApiFailure ? thrown.status : 500;
    if (actor.kind === 'anonymous') return refusedAs(actor, repository, 401, 'No anonymous write access.');
    if (status === 403) return refusedAs(actor, repository, 403, 'Write access to repository not granted.');
    return refusedAs(actor, repository, 404, 'Repository not found.');
  }
}

export function refuseGit(response: ServerResponse, refusal: { status: number; text: string }): void {
  const challenge = refusal.status === 401 ? { 'www-authenticate': 'Basic realm="GitHub"' } : {};
  response.writeHead(refusal.status, { 'content-type': 'text/plain', ...challenge });
  response.end(`${refusal.text}\n`);
}

/** Runs http-backend and gives its answer whole, so that a push is complete before anything is said about it. */
export async function serveGit(
  context: Context,
  request: GitRequest,
  access: { actor: Actor; repository: Repository },
  incoming: IncomingMessage,
): Promise<{ status: number; headers: Record<string, string>; body: Buffer }> {
  const { world } = context;
  const { actor, repository } = access;
  const pushing = request.service === 'git-receive-pack' && !request.info;
  const before = pushing ? await refsOf(world.directory, repository.directory) : null;
  const refusals = path.join(world.directory, `refusals-${world.id()}`);
  const env = { ...environment(context, request, access, incoming), FORGE_REFUSALS: refusals };
  const answer = parse(await backend(env, incoming));
  const by = world.accountOf(actor);
  if (before && by) await refsChanged(context, repository, by, before);
  return pushing ? { ...answer, body: explainRefusals(answer.body, await takeRefusals(refusals)) } : answer;
}

/** What the hook refused, by ref; the file is there only when it refused something. */
async function takeRefusals(file: string): Promise<Map<string, string>> {
  if (!existsSync(file)) return new Map();
  const lines = (await readFile(file, 'utf8')).split('\n').filter(Boolean);
  await rm(file);
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]));
}

function environment(
  context: Context,
  request: GitRequest,
  access: { actor: Actor; repository: Repository },
  incoming: IncomingMessage,
) {
  const { actor, repository } = access;
  const header = (name: string) => String(incoming.headers[name] ?? '');
  const mayWriteWorkflows = actor.kind !== 'installation' || grants(actor.token.permissions, 'workflows', 'write');
  return {
    ...gitEnvironment(context.world.directory),
    GIT_PROJECT_ROOT: repository.directory,
    GIT_HTTP_EXPORT_ALL: '1',
    PATH_INFO: request.info ? '/info/refs' : `/${request.service}`,
    QUERY_STRING: request.info ? `service=${request.service}` : '',
    REQUEST_METHOD: request.info ? 'GET' : 'POST',
    CONTENT_TYPE: header('content-type'),
    ...(incoming.headers['content-length'] ? { CONTENT_LENGTH: header('content-length') } : {}),
    HTTP_CONTENT_ENCODING: header('content-encoding'),
    GIT_PROTOCOL: header('git-protocol'),
    REMOTE_ADDR: '127.0.0.1',
    REMOTE_USER: context.world.accountOf(actor)?.login ?? '',
    FORGE_MAY_WRITE_WORKFLOWS: mayWriteWorkflows ? 'yes' : 'no',
  };
}

function backend(env: Record<string, string>, incoming: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const child = spawn('git', ['http-backend'], { env, stdio: ['pipe', 'pipe', 'ignore'] });
    const out: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.on('error', reject);
    child.on('close', () => resolve(Buffer.concat(out)));
    child.stdin.on('error', () => incoming.resume());
    incoming.pipe(child.stdin);
    incoming.on('aborted', () => child.kill());
  });
}

/** Splits a CGI answer. */
function parse(raw: Buffer): { status: number; headers: Record<string, string>; body: Buffer } {
  const end = raw.indexOf('\r\n\r\n');
  if (end < 0) return { status: 500, headers: {}, body: raw };
  const headers: Record<string, string> = {};
  for (const line of raw.subarray(0, end).toString().split('\r\n')) {
    const at = line.indexOf(':');
    headers[line.slice(0, at).toLowerCase()] = line.slice(at + 1).trim();
  }
  const status = Number.parseInt(headers['status'] ?? '200', 10);
  delete headers['status'];
  return { status, headers, body: raw.subarray(end + 4) };
}
