import Bottleneck from 'bottleneck';
import type { Logger } from 'pino';
import { Probot, ProbotOctokit } from 'probot';
import { statusOf } from './failure.ts';
import { boundedFetch, type Fetch } from './fetch.ts';

export type Octokit = ProbotOctokit;

/** A wait that GitHub asks for and that is longer than this is not waited for: the call fails as rate-limited. */
const LONGEST_WAIT_S = 300;
const RATE_LIMIT_RETRIES = 3;
/** Not repeated by the retry plugin; 429 stands here because that plugin would not wait for Retry-After. */
const NOT_REPEATED = [400, 401, 403, 404, 409, 410, 422, 429, 451];

/**
 * Requests that change something, per installation: 40 at once and 40 more each minute, one after the other. GitHub's
 * secondary limit is 80 a minute. https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
 */
const pace = () =>
  new Bottleneck.Group({ maxConcurrent: 1, reservoir: 40, reservoirRefreshAmount: 40, reservoirRefreshInterval: 60_000 });

export interface OctokitOptions {
  appId: number;
  privateKey: string;
  baseUrl: string;
  log: Logger;
  fetch: Fetch;
  timeoutMs: number;
  /** What a second that GitHub asks to wait takes, in milliseconds: 1000, but where GitHub's clock is a test's. */
  secondMs: number;
}

/** Octokit as coatcheck uses it, authenticated as the App, and a way to have it authenticated by other means. */
export interface Octokits {
  /** The App itself, by its JWT. */
  app: () => Promise<Octokit>;
  /** A client whose requests carry the token that `token` gives; asked again with `true` after GitHub answered 401. */
  withToken: (id: string, token: (refused: boolean) => Promise<string>) => Octokit;
  /** A client without any credential. */
  anonymous: () => Octokit;
}

export function openOctokits({ appId, privateKey, baseUrl, log, fetch, timeoutMs, secondMs }: OctokitOptions): Octokits {
  const wait = (kind: string) => (after: number, request: { method: string; url: string }, _: unknown, retries: number) => {
    const waits = retries < RATE_LIMIT_RETRIES && after <= LONGEST_WAIT_S;
    log.warn({ method: request.method, url: request.url, after, retries, waits }, kind);
    return waits;
  };
  const throttle = {
    enabled: true,
    onRateLimit: wait('rate limit'),
    onSecondaryRateLimit: wait('secondary rate limit'),
    retryAfterBaseValue: secondMs,
    write: pace(),
    notifications: pace(),
  };
  const request = { fetch: boundedFetch(fetch, timeoutMs) };
  // An object is merged in such a way that the throttling options get lost: only the function form works.
  const Base = ProbotOctokit.defaults((given: Readonly<Record<string, unknown>>) => ({
    ...given,
    baseUrl,
    log,
    request,
    userAgent: 'coatcheck',
    throttle: { ...throttle, id: String(given['throttleId'] ?? 'app') },
    retry: { doNotRetry: NOT_REPEATED, retryAfterBaseValue: secondMs },
  }));
  const harmless = (octokit: Octokit): Octokit => {
    octokit.hook.before('request', (options) => {
      // What a lost POST has done is looked up (once.ts), never guessed; a POST for a token harms nobody when repeated.
      if (options.method === 'POST' && !options.url.endsWith('/access_tokens'))
        options.request = { ...options.request, retries: 0 };
    });
    return octokit;
  };
  // The secret is for webhooks, which this Probot does not receive; without one it would take a well-known word.
  const probot = new Probot({ appId, privateKey, baseUrl, log, request, Octokit: Base, secret: crypto.randomUUID() });
  const app = probot.ready().then(async () => harmless(await probot.auth()));
  app.catch(() => undefined); // whoever asks for it gets the error
  return {
    app: () => app,
    anonymous: () => harmless(new Base({ authStrategy: undefined })),
    withToken(id, token) {
      const octokit = harmless(new Base({ authStrategy: undefined, throttleId: id }));
      octokit.hook.wrap('request', async (send, options) => {
        // Hooks further in see this same object, not one that is passed on: so it is changed.
        options.headers.authorization = `token ${await token(false)}`;
        try {
          return await send(options);
        } catch (error) {
          if (statusOf(error) !== 401) throw error;
          options.headers.authorization = `token ${await token(true)}`;
          return await send(options);
        }
      });
      return octokit;
    },
  };
}
