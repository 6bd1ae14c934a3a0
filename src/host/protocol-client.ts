import { Readable } from 'node:stream';
import { z } from 'zod';
import { CoatcheckError } from '../errors.ts';
import {
  ChangeAnswer,
  ClaimAnswer,
  type ClaimRequest,
  EventsAnswer,
  type EventsRequest,
  type FinishRequest,
  GrantAnswer,
  type GrantRequest,
  HOST_API,
  ProtocolError,
} from '../task/protocol.ts';

const CALL_MS = 30_000;
const UPLOAD_MS = 10 * 60_000;

/** Calls of one attempt, each carrying its fencing token. */
export interface AttemptClient {
  events(request: EventsRequest, signal: AbortSignal): Promise<EventsAnswer>;
  grant(request: GrantRequest, signal: AbortSignal): Promise<GrantAnswer>;
  change(bundle: Readable, signal: AbortSignal): Promise<ChangeAnswer>;
  finish(request: FinishRequest, signal: AbortSignal): Promise<void>;
}

export interface ControlClient {
  claim(request: ClaimRequest, signal: AbortSignal): Promise<ClaimAnswer>;
  attempt(token: string): AttemptClient;
}

async function refusal(response: Response): Promise<CoatcheckError> {
  const parsed = ProtocolError.safeParse(await response.json().catch(() => null));
  const { error, message } = parsed.success ? parsed.data : { error: 'control_error', message: `HTTP ${response.status}` };
  return new CoatcheckError(error, `The control plane refused: ${message}`, 'See the control plane’s log for this attempt.');
}

/**
 * The host's side of the host protocol.
 * Every call throws CoatcheckError: `control_unreachable` (try again), `fenced` (this attempt is not ours any more), or
 * the control plane's own refusal.
 */
export function controlClient(options: { url: string; hostKey: string }): ControlClient {
  async function call<T>(
    path: string,
    bearer: string,
    body: { json: unknown } | { bytes: Readable },
    schema: z.ZodType<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const upload = 'bytes' in body;
    const init: RequestInit & { duplex?: 'half' } = {
      method: 'POST',
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(upload ? UPLOAD_MS : CALL_MS)]),
      headers: {
        authorization: `Bearer ${bearer}`,
        'content-type': upload ? 'application/octet-stream' : 'application/json',
      },
      ...(upload
        ? { body: Readable.toWeb(body.bytes) as ReadableStream<Uint8Array>, duplex: 'half' }
        : { body: JSON.stringify(body.json) }),
    };
    let response: Response;
    try {
      response = await fetch(`${options.url}${HOST_API}${path}`, init);
    } catch (error) {
      signal.throwIfAborted();
      throw new CoatcheckError(
        'control_unreachable',
        `The control plane at ${options.url} does not answer.`,
        'Check that it runs and that COATCHECK_CONTROL_URL is right.',
        { cause: error },
      );
    }
    if (!response.ok) throw await refusal(response);
    return schema.parse(await response.json());
  }

  return {
    claim: (request, signal) => call('/claim', options.hostKey, { json: request }, ClaimAnswer, signal),
    attempt: (token) => ({
      events: (request, signal) => call('/events', token, { json: request }, EventsAnswer, signal),
      grant: (request, signal) => call('/grant', token, { json: request }, GrantAnswer, signal),
      change: (bundle, signal) => call('/change', token, { bytes: bundle }, ChangeAnswer, signal),
      finish: async (request, signal) => {
        await call('/finish', token, { json: request }, z.strictObject({ ok: z.literal(true) }), signal);
      },
    }),
  };
}
