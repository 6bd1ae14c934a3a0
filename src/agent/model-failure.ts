import { APICallError, InvalidResponseDataError, JSONParseError, TypeValidationError } from 'ai';
import { z } from 'zod';
import { errorText } from '../errors.ts';
import type { AgentEndReason } from './ended.ts';

/** What to do about a call that went wrong. */
export type ModelFailure =
  /** Another call may go well. */
  | {
      readonly kind: 'retry';
      readonly reason: 'model_unavailable' | 'model_nonsense';
      readonly what: string;
      readonly afterMs: number | null;
    }
  | { readonly kind: 'context'; readonly what: string }
  | { readonly kind: 'end'; readonly reason: AgentEndReason; readonly what: string };

const CONTEXT =
  /context.{0,20}(length|window|limit|size)|too long|maximum.{0,20}tokens|too many (input )?tokens|request_too_large/i;
const ErrorBody = z.object({
  error: z.object({
    type: z.string().nullish(),
    code: z.union([z.string(), z.number()]).nullish(),
    message: z.string().nullish(),
  }),
});

/** Sorts whatever a model call threw or streamed as an error. */
export function modelFailure(thrown: unknown, now: number): ModelFailure {
  const status = APICallError.isInstance(thrown) ? thrown.statusCode : undefined;
  if (APICallError.isInstance(thrown) && status !== undefined && status >= 300) return statusFailure(thrown, status, now);
  const chain = causes(thrown);
  const text = chain.map(errorText).join(': ').slice(0, 500);
  if (chain.some(isUnreadable)) {
    return { kind: 'retry', reason: 'model_nonsense', what: `The model's answer could not be read: ${text}`, afterMs: null };
  }
  // An error inside of the stream (overloaded, cut connection) comes as the vendor's own object or as a socket's error.
  const what = InStream.safeParse(thrown).data?.message ?? text;
  if (CONTEXT.test(what)) return { kind: 'context', what };
  return {
    kind: 'retry',
    reason: 'model_unavailable',
    what: `The model's answer broke off: ${what.slice(0, 500)}`,
    afterMs: null,
  };
}

const InStream = z.object({ message: z.string() });

function causes(thrown: unknown): unknown[] {
  const chain = [thrown];
  for (let one = thrown; one instanceof Error && one.cause !== undefined && chain.length < 5; one = one.cause)
    chain.push(one.cause);
  return chain;
}

/** Whether bytes came that are not in the dialect, as opposed to too few of them. */
function isUnreadable(thrown: unknown): boolean {
  if (JSONParseError.isInstance(thrown) || TypeValidationError.isInstance(thrown)) return true;
  const text = errorText(thrown);
  if (InvalidResponseDataError.isInstance(thrown)) return !/finish reason/i.test(text);
  // What the Anthropic client throws when the first event of a stream cannot be parsed.
  return text === 'Expected a normalized Anthropic stream error';
}

function statusFailure(error: APICallError, status: number, now: number): ModelFailure {
  const body = bodyOf(error.responseBody);
  const said = (body?.message ?? error.message).slice(0, 500);
  // The gateway's own refusal: it says in its message which budget is used up.
  if ([body?.type, body?.code].includes('budget_exceeded')) {
    return { kind: 'end', reason: /\b(?:day|daily)\b/i.test(said) ? 'daily_limit' : 'token_limit', what: said };
  }
  const what = `The model endpoint answered ${status}: ${said}`;
  if (status === 413 || (status === 400 && CONTEXT.test(`${said} ${body?.code ?? ''} ${body?.type ?? ''}`)))
    return { kind: 'context', what };
  if (status === 408 || status === 409 || status === 429 || status >= 500) {
    return { kind: 'retry', reason: 'model_unavailable', what, afterMs: retryAfter(error.responseHeaders ?? {}, now) };
  }
  return { kind: 'end', reason: 'model_unavailable', what };
}

function bodyOf(text: string | undefined): z.infer<typeof ErrorBody>['error'] | undefined {
  try {
    return ErrorBody.safeParse(JSON.parse(text ?? '')).data?.error;
  } catch {
    return undefined;
  }
}

/** `retry-after` in seconds or as a date (RFC 9110, section 10.2.3), or `retry-after-ms`, which some vendors send; in milliseconds. */
function retryAfter(headers: Readonly<Record<string, string>>, now: number): number | null {
  const ms = Number(headers['retry-after-ms'] ?? Number.NaN);
  if (ms >= 0) return ms;
  const value = headers['retry-after'];
  if (value === undefined) return null;
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isFinite(wait) ? Math.max(0, wait) : null;
}
