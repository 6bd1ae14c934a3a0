import { Readable } from 'node:stream';
import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { CoatcheckError, errorText } from '../errors.ts';
import { ClaimRequest, EventsRequest, FinishRequest, GrantRequest, HOST_API } from '../task/protocol.ts';
import type { Attempts } from './attempts.ts';
import { sameSecret } from './fencing.ts';
import type { AttemptRef } from './record.ts';

const JSON_LIMIT = 32 * 1024 * 1024;

const bearer = (c: Context): string => /^Bearer (\S+)$/.exec(c.req.header('authorization') ?? '')?.[1] ?? '';

async function body<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  if (Number(c.req.header('content-length') ?? 0) > JSON_LIMIT) {
    throw new CoatcheckError('too_large', 'The request is too large.', 'Send fewer events at once.');
  }
  return schema.parse(await c.req.json());
}

const STATUS: Readonly<Record<string, 401 | 409 | 413 | 503>> = {
  unauthorised: 401,
  fenced: 409,
  too_large: 413,
  change_too_large: 413,
};

/**
 * The control plane's side of the host protocol (see task/protocol.ts): authorisation and shapes here, what a call
 * means in attempts.ts.
 */
export function hostApi(options: { hostKey: string; attempts: Attempts; trouble: (text: string) => void }): Hono {
  const { attempts } = options;
  const api = new Hono().basePath(HOST_API);

  api.onError((error, c) => {
    if (error instanceof z.ZodError || error instanceof SyntaxError) {
      return c.json({ error: 'malformed', message: errorText(error).slice(0, 2000) }, 400);
    }
    const code = error instanceof CoatcheckError ? error.code : 'internal';
    const status = STATUS[code] ?? (error instanceof CoatcheckError ? 422 : 500);
    if (status === 500) options.trouble(`host protocol: ${errorText(error)}`);
    return c.json({ error: code, message: status === 500 ? 'See the control plane’s log.' : errorText(error) }, status);
  });

  /** The attempt that the fencing token stands for. */
  async function fenced(c: Context): Promise<AttemptRef> {
    const ref = await attempts.byToken(bearer(c));
    if (ref !== null) return ref;
    throw new CoatcheckError(
      'fenced',
      'This attempt is over or was given to another host.',
      'Drop everything that belongs to it.',
    );
  }

  api.post('/claim', async (c) => {
    if (!sameSecret(bearer(c), options.hostKey)) {
      throw new CoatcheckError(
        'unauthorised',
        'The host key is not right.',
        'Set COATCHECK_HOST_KEY to the control plane’s key.',
      );
    }
    return c.json(await attempts.claim(await body(c, ClaimRequest)));
  });
  api.post('/events', async (c) => c.json(await attempts.events(await fenced(c), await body(c, EventsRequest))));
  api.post('/grant', async (c) => c.json(await attempts.grant(await fenced(c), await body(c, GrantRequest))));
  api.post('/change', async (c) => {
    const ref = await fenced(c);
    const stream = c.req.raw.body;
    return c.json(await attempts.change(ref, stream === null ? Readable.from([]) : Readable.fromWeb(stream)));
  });
  api.post('/finish', async (c) => {
    await attempts.finish(await fenced(c), await body(c, FinishRequest));
    return c.json({ ok: true });
  });
  return api;
}
