import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { Octokit } from '@octokit/rest';
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import { html } from 'hono/html';
import { z } from 'zod';
import { githubError } from './failure.ts';
import { boundedFetch, type Fetch } from './fetch.ts';
import { buildManifest, readAppFile, webUrlOf } from './manifest.ts';

/** What GitHub gives for the new App; all but `slug` and `url` is to be kept so that only the owner can read it. */
export interface NewApp {
  appId: number;
  slug: string;
  /** The App's page, from which it is installed. */
  url: string;
  owner: string;
  privateKey: string;
  webhookSecret: string;
  clientId: string;
  clientSecret: string;
}

export interface SetupOptions {
  /** The text of app.yml. */
  appFile: string;
  /** Where people reach this page, without trailing slash. */
  publicUrl: string;
  /** Where GitHub sends deliveries. */
  hookUrl: string;
  apiUrl: string;
  /** Printed in the log at start; whoever has it may make the App. At least 32 characters. */
  setupToken: string;
  configured: () => boolean;
  /** Keeps the credentials; when it throws, nothing is set up and the page says so. */
  save: (app: NewApp) => Promise<void>;
  fetch?: Fetch;
}

/** How long somebody may take from our form through GitHub's pages and back. */
const STATE_MS = 60 * 60_000;

const Conversion = z.looseObject({
  id: z.int(),
  slug: z.string(),
  html_url: z.string(),
  owner: z.looseObject({ login: z.string() }),
  pem: z.string().includes('PRIVATE KEY'),
  webhook_secret: z.string().min(16),
  client_id: z.string(),
  client_secret: z.string(),
});

const same = (a: string, b: string): boolean =>
  timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest());

const page = (title: string, content: ReturnType<typeof html>) => html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem}button{font:inherit;padding:.4rem 1rem}code{background:#8882;padding:0 .2rem}</style>
</head><body><h1>${title}</h1>${content}</body></html>`;

/** Only by our own name (another name that leads here is somebody's trick), only while there is no App; nothing is cached or embedded. */
function guard({ publicUrl, configured, apiUrl }: SetupOptions): MiddlewareHandler {
  const policy = `default-src 'none'; style-src 'unsafe-inline'; form-action 'self' ${webUrlOf(apiUrl)}; frame-ancestors 'none'; base-uri 'none'`;
  return async (context, next) => {
    context.header('Cache-Control', 'no-store');
    context.header('Referrer-Policy', 'no-referrer');
    context.header('Content-Security-Policy', policy);
    if (context.req.header('host') !== new URL(publicUrl).host)
      return context.text('This name is not the configured public URL.', 421);
    if (configured()) return context.text('Not found: the App is set up already.', 404);
    return next();
  };
}

/** The first-start pages `/setup?token=…` and `/setup/callback`: they make the GitHub App from app.yml. */
export function setupPages(options: SetupOptions): Hono {
  const file = readAppFile(options.appFile);
  const states = new Map<string, number>();
  const pages = new Hono();
  pages.use('/setup', guard(options));
  pages.use('/setup/*', guard(options));

  pages.get('/setup', (context) => {
    if (!same(context.req.query('token') ?? '', options.setupToken)) {
      return context.text('Open the address that coatcheck printed in its log when it started.', 403);
    }
    const organisation = context.req.query('organisation') ?? '';
    if (!/^(?:[a-z\d](?:[a-z\d-]{0,38}))?$/i.test(organisation)) return context.text('That is not an organisation’s name.', 400);
    const state = randomBytes(24).toString('base64url');
    for (const [known, at] of states) if (Date.now() - at > STATE_MS || states.size > 50) states.delete(known);
    states.set(state, Date.now());
    const manifest = JSON.stringify(buildManifest(file, options));
    const account = organisation === '' ? '' : `/organizations/${organisation}`;
    const action = `${webUrlOf(options.apiUrl)}${account}/settings/apps/new?state=${state}`;
    return context.html(
      page(
        'Make the GitHub App',
        html`<p>The App is private and asks for these permissions:</p>
<ul>${Object.entries(file.default_permissions).map(([name, level]) => html`<li><code>${name}: ${level}</code></li>`)}</ul>
<form action="${action}" method="post"><input type="hidden" name="manifest" value="${manifest}">
<button>Make it for ${organisation === '' ? 'my own account' : organisation}</button></form>
<form action="/setup" method="get"><input type="hidden" name="token" value="${options.setupToken}">
<p><label>For an organisation instead: <input name="organisation" value="${organisation}"></label> <button>Choose</button></p></form>`,
      ),
    );
  });

  pages.get('/setup/callback', async (context) => {
    const since = states.get(context.req.query('state') ?? '');
    // A state is good for one answer, so that a link that was seen on the way cannot be used again.
    states.delete(context.req.query('state') ?? '');
    const code = context.req.query('code') ?? '';
    if (since === undefined || Date.now() - since > STATE_MS)
      return context.text('This answer belongs to no form of ours. Start again from /setup.', 403);
    if (!/^[\w-]{1,100}$/.test(code)) return context.text('GitHub sent no code. Start again from /setup.', 400);
    return finish(context, options, code);
  });
  return pages;
}

async function finish(context: Context, options: SetupOptions, code: string): Promise<Response> {
  try {
    const app = await convert(options, code);
    await options.save(app);
    return context.html(
      page(
        'The App is made',
        html`<p>Its keys are kept in the data directory, readable by coatcheck alone.</p>
<ol><li><a href="${app.url}/installations/new">Install it</a> on the repository where it should work.</li>
<li>Put the installation on the operator’s list; the log names it when it knocks.</li>
<li>Put the label on an issue.</li></ol>`,
      ),
    );
  } catch (error) {
    return context.text(`The App could not be set up. ${githubError('Keeping the new App', error)}`, 502);
  }
}

/** Exchanges the code, once, for the App's credentials. */
async function convert({ apiUrl, fetch = globalThis.fetch }: SetupOptions, code: string): Promise<NewApp> {
  const octokit = new Octokit({ baseUrl: apiUrl, userAgent: 'coatcheck', request: { fetch: boundedFetch(fetch, 30_000) } });
  const { data } = await octokit.rest.apps.createFromManifest({ code });
  const made = Conversion.parse(data);
  return {
    appId: made.id,
    slug: made.slug,
    url: made.html_url,
    owner: made.owner.login,
    privateKey: made.pem,
    webhookSecret: made.webhook_secret,
    clientId: made.client_id,
    clientSecret: made.client_secret,
  };
}
