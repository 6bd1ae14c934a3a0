/** The forge's HTTP server: REST below /api/v3, git, the control API below /_forge, and pages. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { ZodError } from 'zod';
import { isVerb, runVerb } from './control.ts';
import { Deliveries } from './deliveries.ts';
import { type GitRequest, gitAccess, matchGit, refuseGit, serveGit } from './git-http.ts';
import { prepareGit } from './git-store.ts';
import { type Action, Misbehaviour } from './misbehave.ts';
import { handle, match } from './rest.ts';
import { snapshot } from './snapshot.ts';
import { type ControlContext, ControlFailure } from './verb.ts';
import { nameOfActor, nodeId, World } from './world.ts';

const API = '/api/v3';
const MAX_BODY_BYTES = 25 * 1024 * 1024;
const LONGEST_POLL_MS = 25_000;

export interface ForgeServer {
  readonly context: ControlContext;
  readonly server: Server;
  readonly url: string;
  close(): Promise<void>;
}

export interface ServerOptions {
  readonly port: number;
  readonly directory: string;
  readonly tokenForm: 'short' | 'long';
}

/** Starts listening on 127.0.0.1. */
export async function serve(options: ServerOptions): Promise<ForgeServer> {
  const world = new World(options.directory, options.tokenForm);
  prepareGit(options.directory);
  const misbehaviour = new Misbehaviour(() => world.touch());
  world.tokenLifeMs = () => misbehaviour.tokenLifeMs();
  const deliveries = new Deliveries(world, (name) => misbehaviour.losesWebhook(name));
  const context = { world, deliveries, misbehaviour };
  const server = createServer((request, response) => {
    dispatch(context, request, response).catch((thrown: unknown) => fail(response, thrown));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', resolve);
  });
  const address = server.address();
  world.url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : options.port}`;
  return {
    context,
    server,
    url: world.url,
    close: () => {
      deliveries.close();
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function fail(response: ServerResponse, thrown: unknown): void {
  if (response.headersSent) response.destroy();
  else sendJson(response, 500, { message: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) });
}

function sendJson(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  const text = body === undefined ? '' : JSON.stringify(body);
  response.writeHead(status, { ...(text === '' ? {} : { 'content-type': 'application/json; charset=utf-8' }), ...headers });
  response.end(text);
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) throw new Error('body too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function dispatch(context: ControlContext, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', context.world.url);
  const method = request.method ?? 'GET';
  if (url.pathname.startsWith('/_forge/')) return control(context, url, request, response);
  const gitRequest = matchGit(method, url);
  if (gitRequest) return gitCall(context, gitRequest, url, request, response);
  if (url.pathname === API || url.pathname.startsWith(`${API}/`)) return rest(context, url, request, response);
  const { pages } = await import('./pages/pages.ts');
  return pages(context, url, request, response, await bodyOf(request));
}

async function control(context: ControlContext, url: URL, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const verb = url.pathname.slice('/_forge/'.length);
  if (verb === 'state') {
    await context.world.changed(Number(url.searchParams.get('after') ?? -1), LONGEST_POLL_MS);
    return sendJson(response, 200, await snapshot(context.world, context.misbehaviour));
  }
  if (!isVerb(verb)) return sendJson(response, 404, { message: `no verb ${verb}` });
  try {
    sendJson(response, 200, await runVerb(context, verb, JSON.parse((await bodyOf(request)).toString('utf8') || '{}')));
  } catch (thrown) {
    if (!(thrown instanceof ControlFailure || thrown instanceof ZodError)) throw thrown;
    sendJson(response, 400, { message: thrown.message });
  }
}

/** Does what the rule says instead of answering; false when the request goes on. */
function interrupts(action: Action | null, request: IncomingMessage, response: ServerResponse): boolean {
  if (action?.do === 'drop_before') request.socket.destroy();
  else if (action?.do === 'answer') {
    request.resume();
    sendJson(response, action.status, action.body ?? { message: 'told to misbehave' }, action.headers);
  } else return false;
  return true;
}

async function rest(context: ControlContext, url: URL, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { world, misbehaviour } = context;
  const method = request.method ?? 'GET';
  const path = url.pathname.slice(API.length) || '/';
  const matched = match(method, path);
  const at = world.timestamp();
  const log = (actor: string, body: unknown, status: number) => {
    world.requests.push({ at, method, path, operation: matched?.name ?? null, actor, body: body ?? null, status });
    world.touch();
  };
  const body = await bodyOf(request);
  const action = await misbehaviour.meet(matched?.name ?? '', path);
  if (interrupts(action, request, response)) return log('anonymous', null, action?.do === 'answer' ? action.status : 0);
  const done = await handle(
    context,
    { method, path, query: url.searchParams, authorization: request.headers.authorization, body },
    matched,
  );
  log(nameOfActor(done.actor), done.body, action?.do === 'drop_after' ? 0 : done.answer.status);
  if (action?.do === 'drop_after') {
    request.socket.destroy();
    return;
  }
  sendJson(response, done.answer.status, done.answer.body, { ...usualHeaders(world), ...done.answer.headers });
}

function usualHeaders(world: World): Record<string, string> {
  return {
    'x-github-request-id': nodeId('REQ', world.id()),
    'x-github-media-type': 'github.v3; format=json',
    'x-github-api-version-selected': '2022-11-28',
    'x-ratelimit-limit': '5000',
    'x-ratelimit-remaining': '4999',
    'x-ratelimit-used': '1',
    'x-ratelimit-reset': String(Math.floor(world.now() / 1000) + 3600),
    'x-ratelimit-resource': 'core',
  };
}

async function gitCall(
  context: ControlContext,
  git: GitRequest,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { world, misbehaviour } = context;
  const operation = git.info ? `git info/refs ${git.service}` : `git ${git.service}`;
  const at = world.timestamp();
  const access = gitAccess(context, git, request.headers.authorization);
  const log = (status: number) => {
    const { method = '' } = request;
    world.requests.push({ at, method, path: url.pathname, operation, actor: nameOfActor(access.actor), body: null, status });
    world.touch();
  };
  const action = await misbehaviour.meet(operation, url.pathname);
  if (interrupts(action, request, response)) return log(action?.do === 'answer' ? action.status : 0);
  if (access.refusal || !access.repository) {
    request.resume();
    const refusal = access.refusal ?? { status: 404, text: 'Repository not found.' };
    log(refusal.status);
    return refuseGit(response, refusal);
  }
  const answer = await serveGit(context, git, { actor: access.actor, repository: access.repository }, request);
  log(action?.do === 'drop_after' ? 0 : answer.status);
  if (action?.do === 'drop_after') {
    request.socket.destroy();
    return;
  }
  // A fresh connection for each request: curl quietly repeats a POST on a kept one that breaks.
  response.writeHead(answer.status, { ...answer.headers, connection: 'close' });
  response.end(answer.body);
}
