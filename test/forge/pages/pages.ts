/** Plain pages for people; whoever can reach this machine's loopback may read them. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { html } from 'hono/html';
import type { Repository } from '../entities.ts';
import type { ControlContext } from '../verb.ts';
import { appPage, createFromManifest, installApp, manifestPage } from './app-manifest.ts';
import { commitPage, file, home } from './code.ts';
import { issueList, issuePage } from './conversation.ts';
import { frame, type Html } from './layout.ts';
import { checkPage, pullPage } from './pull.ts';

const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

const plainHeading = html`<span class="name"><span class="brand">forge</span></span>`;

/** A page, where to go instead, or null where there is nothing. */
type Shown = Html | { readonly goTo: string } | null;

async function inRepository({ world }: ControlContext, repository: Repository, kind: string, rest: string): Promise<Shown> {
  const base = `/${repository.owner.login}/${repository.name}`;
  const issue = world.issue(repository, Number(rest));
  switch (kind) {
    case '':
      return home(world, repository, '');
    case 'tree':
      return home(world, repository, rest);
    case 'blob':
      return file(world, repository, rest);
    case 'commit':
      return commitPage(world, repository, rest);
    case 'issues':
      if (rest === '') return issueList(world, repository, false);
      if (issue?.pull) return { goTo: `${base}/pull/${issue.number}` };
      return issue ? issuePage(world, issue) : null;
    case 'pulls':
      return issueList(world, repository, true);
    case 'pull':
      if (issue && !issue.pull) return { goTo: `${base}/issues/${issue.number}` };
      return issue ? pullPage(world, issue) : null;
    case 'runs': {
      const run = world.checkRuns.find((known) => known.repository === repository && known.id === Number(rest));
      return run ? checkPage(world, run) : null;
    }
    default:
      return null;
  }
}

function repositoryList({ world }: ControlContext, owner: string | null): Html {
  const shown = world.repositories.filter((repository) => owner === null || repository.owner.login === owner);
  const rows = shown.map(
    ({ owner: { login }, name }) =>
      html`<div class="item"><a href="/${login}/${name}"><strong>${login}/${name}</strong></a></div>`,
  );
  return frame('Repositories', plainHeading, html`<h1>Repositories</h1><div class="box">${rows}</div>`);
}

async function settings(context: ControlContext, method: string, url: URL, form: URLSearchParams): Promise<Shown> {
  const app = /^\/apps\/([^/]+)(\/installations\/new)?$/.exec(url.pathname);
  if (app && method === 'POST') {
    await installApp(context, app[1] ?? '', form);
    return { goTo: '/' };
  }
  if (app) return appPage(context, app[1] ?? '');
  if (method !== 'POST') return null;
  if (url.pathname === '/settings/apps/create') return { goTo: await createFromManifest(context, form) };
  if (/^(\/organizations\/[^/]+)?\/settings\/apps\/new$/.test(url.pathname))
    return manifestPage(form, url.searchParams.get('state') ?? '');
  return null;
}

async function find(context: ControlContext, method: string, url: URL, body: Buffer): Promise<Shown> {
  const [, owner = '', name = '', kind = '', ...rest] = decodeURIComponent(url.pathname).split('/');
  if (owner === '') return repositoryList(context, null);
  if (owner === 'apps' || owner === 'settings' || owner === 'organizations') {
    return settings(context, method, url, new URLSearchParams(body.toString('utf8')));
  }
  if (name === '') return context.world.account(owner) ? repositoryList(context, owner) : null;
  const repository = context.world.repository(owner, name.replace(/\.git$/, ''));
  return repository ? inRepository(context, repository, kind, rest.join('/')) : null;
}

/** Answers a request that is neither REST nor git. */
export async function pages(
  context: ControlContext,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
): Promise<void> {
  const shown = await find(context, request.method ?? 'GET', url, body);
  if (shown !== null && typeof shown === 'object' && 'goTo' in shown) {
    response.writeHead(302, { location: shown.goTo }).end();
    return;
  }
  const missing = frame('Not Found', plainHeading, html`<h1>Not Found</h1><p>There is nothing here.</p>`);
  response.writeHead(shown === null ? 404 : 200, HEADERS);
  response.end(String(await (shown ?? missing)));
}
