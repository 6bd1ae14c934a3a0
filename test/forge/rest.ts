/** The REST API: finds the operation, asks who it is and whether they may, and checks what comes in and goes out. */
import { identify } from './auth.ts';
import type { Answer, Call, Context } from './call.ts';
import type { Actor, Repository } from './entities.ts';
import { ApiFailure, notFound } from './failure.ts';
import { HANDLERS } from './operations/all.ts';
import { authorize, authorizeKind, RULES } from './permissions.ts';
import { OPERATIONS, type OperationName } from './served.ts';
import { checkRequest, docsOf, faultOfAnswer } from './validation.ts';

/** Parameters that may hold slashes. */
const GREEDY = new Set(['ref', 'branch']);

interface Route {
  readonly name: OperationName;
  readonly method: string;
  readonly pattern: RegExp;
}

const ROUTES: readonly Route[] = OPERATIONS.map((name): Route => {
  const [method = '', template = ''] = name.split(' ');
  const source = template.replace(
    /\{(\w+)\}/g,
    (_, parameter: string) => `(?<${parameter}>${GREEDY.has(parameter) ? '.+' : '[^/]+'})`,
  );
  return { name, method, pattern: new RegExp(`^${source}$`) };
});

export interface RestRequest {
  readonly method: string;
  /** Below the API's root, as sent, still percent-encoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly authorization: string | undefined;
  readonly body: Buffer;
}

export interface Matched {
  readonly name: OperationName;
  readonly params: Readonly<Record<string, string>>;
}

export function match(method: string, path: string): Matched | null {
  for (const route of ROUTES) {
    const found = route.method === method ? route.pattern.exec(path) : null;
    if (!found) continue;
    const params = Object.entries(found.groups ?? {}).map(([name, value]) => [name, decodeURIComponent(value)]);
    return { name: route.name, params: Object.fromEntries(params) };
  }
  return null;
}

function parseBody(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw new ApiFailure(400, 'Problems parsing JSON');
  }
}

/** The repository of the path, once the actor was found to be allowed what the operation does to it. */
function repositoryFor(context: Context, actor: Actor, { name, params }: Matched): Repository | null {
  if (!name.includes('/repos/{owner}/{repo}')) return null;
  const { world } = context;
  const repository = world.repository(params['owner'] ?? '', params['repo'] ?? '');
  if (!repository) throw notFound();
  const rule = RULES[name];
  if (typeof rule === 'string') return repository;
  const comment = world.comments.find((known) => known.id === Number(params['comment_id']));
  const issue = comment?.issue ?? world.issue(repository, Number(params['issue_number']));
  authorize(world, actor, rule, repository, issue?.pull != null);
  return repository;
}

export interface Handled {
  readonly actor: Actor;
  readonly answer: Answer;
  readonly body: unknown;
}

/** Does one call; refusals are answers too. */
export async function handle(context: Context, request: RestRequest, matched: Matched | null): Promise<Handled> {
  let actor: Actor = { kind: 'anonymous' };
  let body: unknown;
  try {
    actor = identify(context.world, request.authorization);
    if (!matched) throw notFound();
    body = parseBody(request.body);
    authorizeKind(actor, RULES[matched.name]);
    const repository = repositoryFor(context, actor, matched);
    checkRequest(matched.name, matched.params, request.query, body);
    const call: Call = { ...context, actor, params: matched.params, query: request.query, body, repository };
    const handler = HANDLERS[matched.name];
    if (!handler) throw new Error(`${matched.name} has no handler`);
    return { actor, answer: checked(context, matched.name, await handler(call)), body };
  } catch (thrown) {
    const docs = matched ? docsOf(matched.name) : 'https://docs.github.com/rest';
    if (thrown instanceof ApiFailure) return { actor, answer: { status: thrown.status, body: thrown.body(docs) }, body };
    return { actor, answer: broken(context, matched?.name ?? request.path, thrown), body };
  }
}

/** An answer that GitHub could not have given is the forge's own fault, and shown as such. */
function checked(context: Context, name: OperationName, answer: Answer): Answer {
  const fault = faultOfAnswer(name, answer.status, answer.body);
  return fault === null ? answer : broken(context, name, new Error(fault));
}

function broken({ world }: Context, operation: string, thrown: unknown): Answer {
  const message = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  world.offences.push({ at: world.timestamp(), operation, message });
  return { status: 500, body: { message: `The forge itself is at fault: ${message}`, documentation_url: '', status: '500' } };
}
