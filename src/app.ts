import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import canonicalize from 'canonicalize';
import type { Logger } from 'pino';
import { Probot } from 'probot';
import { CoatcheckError, errorText } from './errors.ts';

export const WEBHOOK_PATH = '/api/github/webhooks';
/** GitHub sends no larger payloads. https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap */
const PAYLOAD_CAP = 25 * 1024 * 1024;
/** GitHub hangs up after 10 s. */
const ACCEPT_MS = 9000;

export interface Delivery {
  guid: string;
  event: string;
  payload: unknown;
  /** SHA-256 over the payload in canonical JSON (RFC 8785): the same for a delivery that was sent and one that was polled. */
  payloadDigest: string;
}

/** Keeps a delivery, idempotent by GUID, and does nothing else with it. What it throws is answered with 503. */
export type Accept = (delivery: Delivery) => Promise<unknown>;

export function toDelivery({ guid, event, payload }: Omit<Delivery, 'payloadDigest'>): Delivery {
  const payloadDigest = createHash('sha256')
    .update(canonicalize(payload) ?? '')
    .digest('hex');
  return { guid, event, payload, payloadDigest };
}

/** The Probot function: every delivery is handed to `accept`. */
export const coatcheckApp =
  ({ accept }: { accept: Accept }) =>
  (probot: Probot): void => {
    probot.onAny(async ({ id, name, payload }) => {
      await accept(toDelivery({ guid: id, event: name, payload }));
    });
  };

export interface WebhookOptions {
  accept: Accept;
  appId: number;
  privateKey: string;
  secret: string;
  log: Logger;
  /** Bytes; 25 MiB when not given. */
  bodyLimit?: number;
}

/**
 * The handler of deliveries for a `node:http` server, whatever the path it is called for: it answers 404 to others than
 * WEBHOOK_PATH. 200 means that `accept` has taken the delivery; everything else means that nothing was taken: 401 signature
 * bad, missing or SHA-1 only; 413 over size; 415 not JSON; 400 unreadable; 503 not now.
 * @throws CoatcheckError `webhook_secret_missing`: Probot itself would go on with a well-known secret.
 */
export async function createWebhookHandler(options: WebhookOptions) {
  if (options.secret.length < 16) {
    throw new CoatcheckError(
      'webhook_secret_missing',
      'The App has no webhook secret, or one of fewer than 16 characters.',
      'Set WEBHOOK_SECRET to the secret of the App’s settings page.',
    );
  }
  const { appId, privateKey, secret, log, bodyLimit = PAYLOAD_CAP } = options;
  // Probot would log a failed delivery with its whole payload; what failed is logged here, without.
  const probot = new Probot({ appId, privateKey, secret, log: log.child({}, { level: 'silent' }) });
  await probot.ready();
  await probot.load(coatcheckApp(options));

  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const answer = (status: number, text: string): void => {
      // What was not read of the body must not be taken for the next request.
      if (!request.complete) response.setHeader('Connection', 'close');
      response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
    };
    try {
      const problem = headProblem(request, bodyLimit);
      if (problem !== null) return answer(...problem);
      const body = await readBody(request, bodyLimit);
      if (body === null) return answer(413, 'The payload is too large.');
      const text = body.toString('utf8');
      const signature = header(request, 'x-hub-signature-256');
      if (!(await probot.webhooks.verify(text, signature).catch(() => false))) return answer(401, 'The signature is not right.');
      const payload = parseObject(text);
      if (payload === null) return answer(400, 'The payload is not a JSON object.');
      const delivery = { id: header(request, 'x-github-delivery'), name: header(request, 'x-github-event'), payload };
      await withinTime(receive(probot, delivery));
      return answer(200, 'taken');
    } catch (error) {
      log.error({ delivery: header(request, 'x-github-delivery'), error: errorText(error) }, 'a delivery could not be taken');
      if (response.headersSent || response.destroyed) return;
      return answer(503, 'Not now. Redeliver it later.');
    }
  };
}

const header = (request: IncomingMessage, name: string): string => {
  const value = request.headers[name];
  return typeof value === 'string' ? value : '';
};

/** What is wrong with a request as far as its head tells. */
function headProblem(request: IncomingMessage, bodyLimit: number): [number, string] | null {
  const path = request.url?.split('?')[0];
  if (path !== WEBHOOK_PATH) return [404, 'Not found.'];
  if (request.method !== 'POST') return [405, 'Deliveries are POSTed.'];
  if (!/^\s*application\/json\s*(?:;|$)/i.test(header(request, 'content-type')))
    return [415, 'Set the webhook’s content type to application/json.'];
  if (!/^(?:identity)?$/i.test(header(request, 'content-encoding'))) return [415, 'Compressed payloads are not taken.'];
  if (!/^[\w-]{1,100}$/.test(header(request, 'x-github-delivery'))) return [400, 'X-GitHub-Delivery is missing.'];
  if (!/^[a-z_]{1,60}$/.test(header(request, 'x-github-event'))) return [400, 'X-GitHub-Event is missing.'];
  if (!/^sha256=[\da-f]{64}$/.test(header(request, 'x-hub-signature-256'))) return [401, 'X-Hub-Signature-256 is missing.'];
  if (Number(header(request, 'content-length')) > bodyLimit) return [413, 'The payload is too large.'];
  return null;
}

/** The whole body; null as soon as it is over the limit. */
async function readBody(request: IncomingMessage, limit: number): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // The connection stays: the refusal is still to be written to it.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    bytes += chunk.length;
    if (bytes > limit) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parseObject(text: string): object | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/** Probot's own types name every event there is; a delivery may be of one that came later, and is passed on all the same. */
async function receive(probot: Probot, delivery: { id: string; name: string; payload: object }): Promise<void> {
  await probot.receive(delivery as Parameters<Probot['receive']>[0]);
}

async function withinTime(taken: Promise<void>): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`not taken within ${ACCEPT_MS} ms`)), ACCEPT_MS);
  try {
    await Promise.race([taken, late]);
  } finally {
    clearTimeout(timer);
  }
}
