import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { AnswerTap } from './answer-tap.ts';
import type { ModelAccess } from './gateway-options.ts';
import { KeyScrub } from './key-scrub.ts';
import { charged, NO_USAGE, type Observed, type Usage } from './usage.ts';
import type { Dialect } from './wire-dialect.ts';

export interface Call {
  readonly dialect: Dialect;
  readonly access: ModelAccess;
  readonly path: string;
  readonly body: Buffer;
  readonly stream: boolean;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** How a call went; `finish` ends the client's answer, or cuts it where the provider's was cut. */
export interface Passed {
  readonly status: number | null;
  readonly observed: Observed;
  readonly charged: { readonly usage: Usage; readonly estimated: boolean };
  readonly trouble: string | null;
  finish(): void;
}

/** Provider's headers that a client gets; all others may say more about the account than the sandbox should know. */
const RESPONSE_HEADERS = [
  'content-type',
  'cache-control',
  'retry-after',
  'retry-after-ms',
  'request-id',
  'x-request-id',
  'x-should-retry',
];

/** Sends a call to the provider and its answer to the client as it arrives; never rejects. */
export async function passThrough(options: { dispatcher: Dispatcher; signal: AbortSignal }, call: Call): Promise<Passed> {
  const { dialect, response } = call;
  const left = new AbortController();
  const onClose = () => left.abort();
  response.once('close', onClose);
  if (response.destroyed) left.abort();
  const signal = AbortSignal.any([options.signal, left.signal]);
  try {
    const upstream = await send(options.dispatcher, call, signal);
    const encoding = upstream.headers['content-encoding'] ?? 'identity';
    if (encoding !== 'identity' || (upstream.statusCode >= 300 && upstream.statusCode < 400)) {
      // Destroying it is told as an error, to nobody else.
      upstream.body.once('error', () => {});
      upstream.body.destroy();
      return failed(call, `the provider answered ${upstream.statusCode} in a form that is not passed on`);
    }
    return await relay(call, upstream, signal);
  } catch (thrown) {
    if (signal.aborted) return failed(call, options.signal.aborted ? 'the gateway was stopped' : 'the client left');
    return failed(call, `the provider cannot be reached (${codeOf(thrown)})`);
  } finally {
    response.off('close', onClose);
  }

  function failed({ response: to }: Call, trouble: string): Passed {
    const gone = to.destroyed;
    const finish = () => {
      if (to.destroyed) return;
      to.writeHead(502, { 'content-type': 'application/json' });
      to.end(JSON.stringify(dialect.error('api_error', `The model gateway: ${trouble}.`)));
    };
    const observed: Observed = { usage: NO_USAGE, model: null, complete: false };
    return { status: gone ? null : 502, observed, charged: { usage: NO_USAGE, estimated: false }, trouble, finish };
  }
}

function send(dispatcher: Dispatcher, call: Call, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
  const { dialect, access, request } = call;
  const url = new URL(dialect.url(access.provider.baseUrl, call.path));
  const passed = dialect.requestHeaders.flatMap((name): [string, string][] => {
    const value = request.headers[name];
    return typeof value === 'string' ? [[name, value]] : [];
  });
  return dispatcher.request({
    origin: url.origin,
    path: url.pathname,
    method: 'POST',
    headers: {
      ...Object.fromEntries(passed),
      ...dialect.authorization(access.provider.apiKey),
      'content-type': 'application/json',
      accept: call.stream ? 'text/event-stream' : 'application/json',
      // Compressed bytes could not be counted as they pass.
      'accept-encoding': 'identity',
    },
    body: call.body,
    signal,
  });
}

async function relay(call: Call, upstream: Dispatcher.ResponseData, signal: AbortSignal): Promise<Passed> {
  const { response, dialect, access, body } = call;
  const { apiKey } = access.provider;
  const ok = upstream.statusCode < 300;
  const tap = new AnswerTap(dialect, String(upstream.headers['content-type'] ?? '').includes('event-stream'));
  for (const name of RESPONSE_HEADERS) {
    const value = upstream.headers[name];
    if (typeof value === 'string') response.setHeader(name, value.replaceAll(apiKey, '[redacted]'));
  }
  response.writeHead(upstream.statusCode);
  response.flushHeaders();
  let trouble: string | null = null;
  try {
    await pump(upstream.body, new KeyScrub(apiKey), response, tap, signal);
    tap.end();
  } catch {
    trouble = signal.aborted ? 'the client left before the end' : 'the provider cut the answer';
  }
  return {
    status: upstream.statusCode,
    observed: tap.observed,
    // An error costs nothing; what was answered does, to whatever point it came.
    charged: ok ? charged(tap.observed, body.length, tap.payloadBytes) : { usage: NO_USAGE, estimated: false },
    trouble,
    finish: () => (trouble === null ? response.end() : response.destroy()),
  };
}

/** Moves the answer on, no faster than the client takes it, and leaves the client's side open. */
async function pump(from: Readable, scrub: KeyScrub, to: ServerResponse, tap: AnswerTap, signal: AbortSignal): Promise<void> {
  from.once('error', (error) => scrub.destroy(error));
  for await (const chunk of from.pipe(scrub)) {
    tap.see(chunk);
    if (!to.write(chunk)) await once(to, 'drain', { signal });
  }
  signal.throwIfAborted();
}

/** The bare code of a failed connection: its message may hold addresses. */
function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : 'failed';
}
