import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import type { Logger } from 'pino';
import { SmeeClient } from 'smee-client';
import { createWebhookHandler, toDelivery, WEBHOOK_PATH } from '../app.ts';
import { openKey } from '../audit/key.ts';
import type { AppCredentials, Config } from '../config.ts';
import { type Control, startControl } from '../control/control.ts';
import { errorText } from '../errors.ts';
import { openNetwork } from '../github/fetch.ts';
import { connectGitHub } from '../github/github.ts';
import { webUrlOf } from '../github/manifest.ts';
import { setupPages } from '../github/setup-page.ts';
import { placeOf } from '../policy/grants.ts';
import { parseOperatorConfig } from '../policy/operator-config.ts';
import { readPresets } from '../policy/presets.ts';
import type { Queue } from '../queue/queue.ts';
import { openStore } from '../store/store.ts';
import type { DataDirectory } from './data-directory.ts';
import { gitNetwork } from './network.ts';
import { readProviders } from './providers.ts';
import type { Releases } from './release.ts';
import { readRuleSecrets } from './rule-secrets.ts';
import { takeIn } from './take-in.ts';

type Handler = Control['handler'];

/** How far back deliveries are looked for at the first start with polling: what GitHub keeps. */
const KEPT_MS = 3 * 24 * 60 * 60_000;

export interface StartControl {
  readonly config: Config;
  readonly log: Logger;
  readonly data: DataDirectory;
  readonly queue: Queue;
  readonly hostKey: string;
  readonly release: Releases;
  readonly signal: AbortSignal;
}

/** The address of a listening server, as a URL without a trailing slash. */
function urlOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server does not listen on a port.');
  return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
}

/**
 * Starts the control plane. While there is no App, only the first-start page is served; it goes on from there by itself.
 * Returns the address it listens on.
 */
export async function startControlPlane(start: StartControl): Promise<string> {
  const { config, log, release } = start;
  let handler: Handler = async (_request, response) => void response.writeHead(503).end('Starting.\n');
  const server = createServer((request, response) => {
    handler(request, response).catch((error: unknown) => {
      log.error(`${request.method} ${request.url?.split('?')[0]}: ${errorText(error)}`);
      response.destroy();
    });
  });
  server.listen(config.listen.port, config.listen.host);
  await once(server, 'listening');
  release.add('listener', () => {
    server.close();
    server.closeAllConnections();
  });
  const url = urlOf(server);
  const app = config.app ?? (await start.data.app());
  const serve = async (credentials: AppCredentials) => {
    handler = await serveApp(start, credentials, url);
    // Hosts are gone by then, and what the handler needs goes next.
    release.add('front door', () => {
      handler = async (_request, response) => void response.writeHead(503).end('Ending.\n');
    });
  };
  if (app === null) handler = await firstStart(start, url, serve);
  else await serve(app);
  return url;
}

/** The front door and everything behind it, for the App that there is. */
async function serveApp(start: StartControl, app: AppCredentials, url: string): Promise<Handler> {
  const { config, log, release, data } = start;
  const answered = [config.githubApiUrl, webUrlOf(config.githubApiUrl)].map(placeOf);
  const operator = parseOperatorConfig(await readFile(config.policyFile, 'utf8'), config.policyFile, answered);
  const presets = readPresets([...new Set([...operator.egress.presets, ...operator.egress.on_request])]);
  const providers = readProviders(operator, config);
  const ruleSecrets = readRuleSecrets(operator, config);
  const network = openNetwork({
    httpProxy: null,
    httpsProxy: config.upstreamProxy,
    noProxy: config.noProxy,
    authorities: config.authorities,
  });
  release.add('network', network.close);
  const github = connectGitHub({ ...app, baseUrl: config.githubApiUrl, log, fetch: network.fetch });
  release.add('GitHub', github.close);
  const self = await github.self(start.signal);
  const store = await openStore({ directory: config.dataDirectory });
  release.add('store', store.close);

  const control = await startControl({
    log,
    directory: config.dataDirectory,
    store,
    queue: start.queue,
    github,
    key: await openKey(config.dataDirectory),
    operator,
    presets,
    providers,
    registries: ruleSecrets.byRule,
    settings: { ...operator.triggers, appId: app.appId, appSlug: self.slug, botUserId: self.botUserId },
    identity: { name: self.botLogin, email: `${self.botUserId}+${self.botLogin}@users.noreply.github.com` },
    network: await gitNetwork(config),
    gitUrl: webUrlOf(config.githubApiUrl),
    apiUrl: config.githubApiUrl,
    publicUrl: config.publicUrl ?? url,
    controlUrl: config.controlUrl ?? url,
    hostKey: start.hostKey,
    linkKey: await data.secret('link-key'),
    openPages: config.openPages,
    secrets: [
      app.privateKey,
      app.webhookSecret,
      start.hostKey,
      ...[...providers.values()].map((provider) => provider.apiKey),
      ...ruleSecrets.secrets,
    ],
    proxy: config.upstreamProxy,
    authorities: config.authorities,
    leaseMs: config.leaseMs,
  });
  release.add('control plane', control.close);
  if (operator.installations.length === 0) {
    log.warn(
      `${config.policyFile} lists no installation, so nobody is served. Add an account or an installation id to \`installations\`.`,
    );
  }

  const accept = control.accept;
  const webhooks = await createWebhookHandler({
    accept,
    appId: app.appId,
    privateKey: app.privateKey,
    secret: app.webhookSecret,
    log,
  });
  if (config.deliveries === 'poll') poll(start, github, control);
  if (config.webhookProxyUrl !== null) await forwardFrom(config.webhookProxyUrl, url, start);
  log.info({ app: self.slug, pages: config.openPages ? `${url}/tasks` : undefined }, `serving ${self.botLogin} on ${url}`);
  return async (request, response) => {
    if (request.url?.split('?')[0] === WEBHOOK_PATH) await webhooks(request, response);
    else await control.handler(request, response);
  };
}

/** Takes deliveries in through the App's deliveries API: for machines that GitHub cannot reach. */
function poll({ log, release, signal }: StartControl, github: ReturnType<typeof connectGitHub>, control: Control): void {
  const ending = new AbortController();
  const polling = (async () => {
    const since = new Date(Date.now() - KEPT_MS);
    const events = new Set(['issues', 'issue_comment']);
    const onTrouble = (text: string) => log.warn(text);
    const until = AbortSignal.any([signal, ending.signal]);
    const deliveries = github.pollDeliveries({ since, signal: until, events, onTrouble });
    await takeIn(deliveries, (polled) => control.accept(toDelivery(polled)), { signal: until, trouble: onTrouble });
  })().catch((error: unknown) => log.error(`polling deliveries ended: ${errorText(error)}`));
  release.add('polling', async () => {
    ending.abort();
    await polling;
  });
}

/** Takes deliveries from a webhook proxy such as smee.io: for development, as the proxy's owner can read them. */
async function forwardFrom(source: string, url: string, { log, release }: StartControl): Promise<void> {
  const logger = {
    info: (text: unknown) => log.info(`webhook proxy: ${text}`),
    error: (text: unknown) => log.warn(`webhook proxy: ${text}`),
  };
  const proxy = new SmeeClient({ source, target: `${url}${WEBHOOK_PATH}`, logger });
  await proxy.start();
  release.add('webhook proxy', () => proxy.stop());
  log.warn(`deliveries come through ${source}; whoever runs it can read them`);
}

/** The page that makes the App; its address is printed once, with a token that only the log's reader has. */
async function firstStart(start: StartControl, url: string, serve: (app: AppCredentials) => Promise<void>): Promise<Handler> {
  const { config, log, data } = start;
  const publicUrl = config.publicUrl ?? url;
  const setupToken = await data.secret('setup-token');
  let configured = false;
  const pages = setupPages({
    appFile: await readFile(new URL('../../app.yml', import.meta.url), 'utf8'),
    publicUrl,
    hookUrl: config.webhookProxyUrl ?? `${publicUrl}${WEBHOOK_PATH}`,
    apiUrl: config.githubApiUrl,
    setupToken,
    configured: () => configured,
    save: async ({ appId, privateKey, webhookSecret }) => {
      await data.keepApp({ appId, privateKey, webhookSecret });
      configured = true;
      serve({ appId, privateKey, webhookSecret }).catch((error: unknown) =>
        log.fatal(`The new App cannot be served: ${errorText(error)}`),
      );
    },
  });
  log.info(`There is no GitHub App yet. Open ${publicUrl}/setup?token=${setupToken} to create it.`);
  return getRequestListener(pages.fetch);
}
