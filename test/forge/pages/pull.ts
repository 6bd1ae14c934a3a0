/** A pull request: conversation, commits, checks, diff; and the page of one check run. */
import { html } from 'hono/html';
import type { CheckRun, Issue } from '../entities.ts';
import { git } from '../git-store.ts';
import { commitsBetween } from '../pulls.ts';
import type { World } from '../world.ts';
import { diffBoxes } from './code.ts';
import { conversation, labels, stateOf } from './conversation.ts';
import { type Html, repositoryPage, when, who } from './layout.ts';
import { markdown } from './markdown.ts';

const GOOD = new Set(['success', 'neutral', 'skipped']);

function verdict(run: CheckRun): Html {
  if (run.status !== 'completed') return html`<span class="wait">● ${run.status.replace('_', ' ')}</span>`;
  const good = GOOD.has(run.conclusion ?? '');
  return html`<span class="${good ? 'ok' : 'bad'}">${good ? '✓' : '✗'} ${(run.conclusion ?? '').replace('_', ' ')}</span>`;
}

function checks(world: World, issue: Issue): Html {
  const base = `/${issue.repository.owner.login}/${issue.repository.name}`;
  const runs = world.checkRuns.filter((run) => run.repository === issue.repository && run.headSha === issue.pull?.headSha);
  if (runs.length === 0) return html`<p class="dim">No checks on this commit.</p>`;
  return html`<div class="box">${runs.map(
    (run) =>
      html`<div class="item">${verdict(run)}<span class="grow"><a href="${base}/runs/${run.id}"><strong>${run.name}</strong></a> <span class="dim">${run.output.title}</span></span><span class="dim">${run.app.slug}</span></div>`,
  )}</div>`;
}

async function commits(world: World, issue: Issue): Promise<Html> {
  const { repository, pull } = issue;
  if (!pull) return html``;
  const base = `/${repository.owner.login}/${repository.name}`;
  const ids = await commitsBetween(world, repository.directory, pull.baseSha, pull.headSha);
  const rows = ids.map(async (id) => {
    const shown = (await git(world.directory, repository.directory, ['log', '-1', '--format=%an%x00%s', id])).toString();
    const [author = '', subject = ''] = shown.trim().split('\0');
    return html`<div class="item"><span class="grow"><a href="${base}/commit/${id}">${subject}</a> <span class="dim">by ${author}</span></span><span class="mono dim">${id.slice(0, 10)}</span></div>`;
  });
  return html`<div class="box">${await Promise.all(rows)}</div>`;
}

export async function pullPage(world: World, issue: Issue): Promise<Html> {
  const { repository, pull } = issue;
  if (!pull) return html``;
  const state = stateOf(issue);
  const diff = ['diff', '--no-color', '--no-ext-diff', `${pull.baseSha}...${pull.headSha}`];
  const content = html`<h1>${issue.title} <span class="dim">#${issue.number}</span></h1>
    <div class="row"><span class="state ${state.name}">${state.text}</span> ${labels(issue)}
      <span class="dim">${who(issue.author.login)} wants to merge into <span class="pill mono">${pull.baseRef}</span> from <span class="pill mono">${pull.headRef}</span> · ${when(issue.createdAt)}</span></div>
    ${conversation(world, issue)}
    <h2>Checks</h2>${checks(world, issue)}
    <h2>Commits</h2>${await commits(world, issue)}
    <h2>Files changed</h2>${await diffBoxes(world, repository, diff)}`;
  return repositoryPage(world, repository, 'pulls', issue.title, content);
}

export function checkPage(world: World, run: CheckRun): Html {
  const base = `/${run.repository.owner.login}/${run.repository.name}`;
  const { title, summary, text } = run.output;
  const content = html`<h1>${run.name}</h1>
    <div class="row">${verdict(run)} <span class="dim">by ${run.app.slug} on <a class="mono" href="${base}/commit/${run.headSha}">${run.headSha.slice(0, 10)}</a>
      · started ${when(run.startedAt)}${run.completedAt ? html` · completed ${when(run.completedAt)}` : ''}</span>
      ${run.detailsUrl ? html`<a href="${/^https?:/.test(run.detailsUrl) ? run.detailsUrl : '#'}" rel="nofollow noreferrer">Details</a>` : ''}</div>
    <div class="box"><div class="head"><strong>${title ?? 'Output'}</strong></div><div class="body" style="padding:4px 20px">${markdown(summary)}${text ? markdown(text) : ''}</div></div>`;
  return repositoryPage(world, run.repository, 'pulls', run.name, content);
}
