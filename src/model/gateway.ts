import type { IncomingMessage, ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import { CoatcheckError } from '../errors.ts';
import { DIALECTS } from './dialect.ts';
import type { ModelAccess, ModelGatewayOptions } from './gateway-options.ts';
import { type Passed, passThrough } from './pass-through.ts';
import { type Refusal, withoutGranted } from './refusal.ts';
import { readBody } from './request-body.ts';
import { costOf, NO_USAGE, tokensOf, type Usage } from './usage.ts';
import type { Dialect, JsonObject } from './wire-dialect.ts';

const BODY_LIMIT = 32 * 1024 * 1024;

/** A call that is not made; the status and the type are what the client's own error handling reads. */
class Refused extends Error {
  readonly status: number;
  readonly type: string;

  constructor(status: number, type: string, message: string) {
    super(message);
    this.status = status;
    this.type = type;
  }
}

/**
 * The model gateway: a handler for node:http that lets an attempt speak to the model it was given, and to nothing else.
 *
 * The per-attempt key comes in (`x-api-key` or `Bearer`), the real one goes out; bodies are checked for what would make
 * the vendor reach out (403 `not_granted`, naming it), the granted model is put in, tokens are reserved before and
 * settled after. A spent budget is 403 `budget_exceeded` with `x-should-retry: false`, not 429: the dialects' clients
 * try 429 again, and there is nothing to wait for. An unknown key is 401, a closed gateway 403 `model_closed`,
 * an unreachable provider 502; the provider's own errors pass with their status.
 *
 * The returned promise rejects only when `resolve`, `reserve`, `settle` or `record` do; the answer is then a 500 or a cut.
 */
export function createModelGateway(
  options: ModelGatewayOptions,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  return async (request, response) => {
    const dialectGuess = DIALECTS[request.headers['x-api-key'] === undefined ? 'openai-chat' : 'anthropic-messages'];
    try {
      const key = keyOf(request);
      const access = key === '' ? null : await options.resolve(key);
      if (access === null) throw new Refused(401, 'authentication_error', 'This key is not known, or no longer valid.');
      await answer(options, access, request, response);
    } catch (thrown) {
      if (thrown instanceof Refused) return refuse(response, dialectGuess, thrown);
      if (response.headersSent) response.destroy();
      else refuse(response, dialectGuess, new Refused(500, 'api_error', 'The model gateway failed.'));
      throw thrown;
    }
  };
}

function keyOf({ headers }: IncomingMessage): string {
  const key = headers['x-api-key'];
  if (typeof key === 'string') return key;
  return /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1] ?? '';
}

/** One call of a known attempt, from its body to its line in the record. */
async function answer(options: ModelGatewayOptions, access: ModelAccess, request: IncomingMessage, response: ServerResponse) {
  const started = performance.now();
  const { dialect: dialectName, model, price } = access.provider;
  const dialect = DIALECTS[dialectName];
  let asked = model;
  let usage = NO_USAGE;
  let outcome: { status: number | null; model: string | null; note: string } = { status: null, model: null, note: '' };
  let finish = () => {};
  try {
    const { path, counted } = route(options, dialect, request);
    const body = await checkedBody(options, access, dialect, request);
    asked = typeof body['model'] === 'string' ? body['model'].slice(0, 200) : model;
    const outgoing = Buffer.from(JSON.stringify(dialect.outgoing(body, model)));
    const call = { dialect, access, path, body: outgoing, stream: body['stream'] === true, request, response };
    const passed = counted
      ? await withinBudget(options, access, outgoing.length, dialect.outputLimit(body), () => passThrough(options, call))
      : await passThrough(options, call);
    if (counted) usage = passed.charged.usage;
    finish = passed.finish;
    outcome = { status: passed.status, model: passed.observed.model, note: noteOf(passed, counted, asked, model) };
  } catch (thrown) {
    if (!(thrown instanceof Refused)) throw thrown;
    outcome = { status: thrown.status, model: null, note: thrown.message };
    finish = () => refuse(response, dialect, thrown);
  }
  const { inputTokens, outputTokens, cachedTokens } = usage;
  await options.record(access.attempt, {
    type: 'model.call',
    dialect: dialectName,
    asked,
    answered: outcome.model,
    status: outcome.status,
    inputTokens,
    outputTokens,
    cachedTokens,
    costUsd: costOf(usage, price),
    ms: Math.round(performance.now() - started),
    note: outcome.note.slice(0, 1000),
  });
  // Only now: whoever sees the end of the answer finds it recorded and the budget settled.
  finish();
}

function route(options: ModelGatewayOptions, dialect: Dialect, request: IncomingMessage): { path: string; counted: boolean } {
  const [pathname = ''] = (request.url ?? '').split('?', 1);
  const path = pathname.startsWith(options.prefix) ? pathname.slice(options.prefix.length) : '';
  const served = Object.hasOwn(dialect.paths, path) ? dialect.paths[path] : undefined;
  if (served === undefined || request.method !== 'POST') {
    throw new Refused(404, 'not_found_error', `${request.method} ${pathname.slice(0, 200)} is not served here.`);
  }
  return { path, counted: served.counted };
}

async function checkedBody(
  options: ModelGatewayOptions,
  access: ModelAccess,
  dialect: Dialect,
  request: IncomingMessage,
): Promise<JsonObject> {
  if (!access.open) throw new Refused(403, 'model_closed', 'The model is not open to this attempt now.');
  let body: JsonObject;
  try {
    body = await readBody(request, options.bodyLimit ?? BODY_LIMIT);
  } catch (thrown) {
    if (!(thrown instanceof CoatcheckError)) throw new Refused(400, 'invalid_request_error', 'The request was cut off.');
    throw new Refused(thrown.code === 'body_too_large' ? 413 : 400, 'invalid_request_error', thrown.toString());
  }
  const refused = withoutGranted(dialect.refused(body), new Set(access.provider.features));
  if (refused.length > 0) throw new Refused(403, 'not_granted', notGranted(refused, access.provider.model));
  return body;
}

/** What was refused, and what would have to stand where for it to pass. */
function notGranted(refused: readonly Refusal[], model: string): string {
  const what = [...new Set(refused.map((one) => one.what))].slice(0, 8).join(', ');
  const features = [...new Set(refused.flatMap(({ feature }) => feature ?? []))].sort();
  const where =
    features.length === 0
      ? ''
      : ` The operator grants ${features.join(', ')} under vendor_features of the model "${model}" in the policy file.`;
  return `Refused by policy: ${what}. Only what is in the request itself may be used.${where}`;
}

async function withinBudget(
  options: ModelGatewayOptions,
  access: ModelAccess,
  bodyBytes: number,
  outputLimit: number,
  call: () => Promise<Passed>,
): Promise<Passed> {
  const reservation = await options.reserve(access.attempt, tokensOf(bodyBytes) + outputLimit);
  if (!reservation.granted)
    throw new Refused(403, 'budget_exceeded', `The token budget does not allow this call: ${reservation.why}.`);
  let usage: Usage = NO_USAGE;
  try {
    const passed = await call();
    usage = passed.charged.usage;
    return passed;
  } finally {
    await options.settle(reservation.id, usage);
  }
}

function noteOf(passed: Passed, counted: boolean, asked: string, granted: string): string {
  const notes = [
    ...(asked === granted ? [] : [`"${asked}" was asked for, the granted model was used`]),
    ...(counted ? [] : ['a count only, no tokens spent']),
    ...(counted && passed.charged.estimated ? ['usage estimated: the answer did not tell its own'] : []),
    ...(passed.trouble === null ? [] : [passed.trouble]),
  ];
  return notes.join('; ');
}

function refuse(response: ServerResponse, dialect: Dialect, refused: Refused): void {
  if (response.destroyed || response.headersSent) return;
  // A client that is still sending must be read on, or it sees a cut connection instead of the refusal.
  response.req.resume();
  response.writeHead(refused.status, {
    'content-type': 'application/json',
    connection: 'close',
    ...(refused.status === 403 ? { 'x-should-retry': 'false' } : {}),
  });
  response.end(JSON.stringify(dialect.error(refused.type, refused.message)));
}
