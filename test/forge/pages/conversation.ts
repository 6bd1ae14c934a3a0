/** Lists of issues and pull requests, and the conversation of one. */
import { html } from 'hono/html';
import type { Comment, Issue, Repository } from '../entities.ts';
import type { World } from '../world.ts';
import { avatar, type Html, repositoryPage, when, who } from './layout.ts';
import { markdown } from './markdown.ts';

const FACES: Readonly<Record<string, string>> = {
  '+1': '👍',
  '-1': '👎',
  laugh: '😄',
  confused: '😕',
  heart: '❤️',
  hooray: '🎉',
  rocket: '🚀',
  eyes: '👀',
};

function reactions(world: World, on: Issue | Comment): Html {
  const counts = new Map<string, number>();
  for (const { on: where, content } of world.reactions) if (where === on) counts.set(content, (counts.get(content) ?? 0) + 1);
  if (counts.size === 0) return html``;
  return html`<p>${[...counts].map(([content, count]) => html`<span class="reaction">${FACES[content] ?? content} ${count}</span>`)}</p>`;
}

function said(world: World, on: Issue | Comment): Html {
  const { login } = on.author;
  const edited = 'issue' in on && on.edits > 0 ? ' · edited' : '';
  const anchor = 'issue' in on ? `issuecomment-${on.id}` : `issue-${on.id}`;
  return html`<div class="said" id="${anchor}">${avatar(login)}<div class="box"><div class="head">${who(login)} <span class="dim">${when(on.createdAt)}${edited}</span></div>
    <div class="body">${on.body ? markdown(on.body) : html`<p class="dim"><em>No description provided.</em></p>`}${reactions(world, on)}</div></div></div>`;
}

/** Everything that was said and done, in its order. */
export function conversation(world: World, issue: Issue): Html {
  const comments = world.comments.filter((comment) => comment.issue === issue);
  const entries = [
    ...comments.map((comment) => ({ at: comment.createdAt, shown: said(world, comment) })),
    ...issue.timeline.map(({ at, by, what }) => ({
      at,
      shown: html`<div class="moment">${who(by)} ${what} · ${when(at)}</div>`,
    })),
  ];
  entries.sort((a, b) => a.at.localeCompare(b.at));
  return html`${said(world, issue)}${entries.map((entry) => entry.shown)}`;
}

export function stateOf(issue: Issue): { name: string; text: string } {
  if (issue.pull?.mergedAt) return { name: 'merged', text: 'Merged' };
  if (issue.state === 'closed') return { name: issue.pull ? 'closed' : 'done', text: 'Closed' };
  return issue.pull?.draft ? { name: 'draft', text: 'Draft' } : { name: 'open', text: 'Open' };
}

export const labels = (issue: Issue): Html =>
  html`${issue.labels.map((label) => html`<span class="pill">${label.name}</span> `)}`;

export function issueList(world: World, repository: Repository, pulls: boolean): Html {
  const base = `/${repository.owner.login}/${repository.name}`;
  const all = world.issues.filter((issue) => issue.repository === repository && (issue.pull !== null) === pulls).toReversed();
  const open = all.filter((issue) => issue.state === 'open').length;
  const rows = all.map((issue) => {
    const state = stateOf(issue);
    return html`<div class="item"><span class="state ${state.name}" style="font-size:12px;padding:0 9px">${state.text}</span>
      <span class="grow"><a href="${base}/${pulls ? 'pull' : 'issues'}/${issue.number}"><strong>${issue.title}</strong></a> ${labels(issue)}<br>
      <span class="dim">#${issue.number} opened ${when(issue.createdAt)} by ${issue.author.login}</span></span></div>`;
  });
  const title = pulls ? 'Pull requests' : 'Issues';
  const none = html`<div class="item dim">There are none.</div>`;
  const content = html`<h1>${title}</h1><div class="box"><div class="head">${open} open · ${all.length - open} closed</div>${rows.length > 0 ? rows : none}</div>`;
  return repositoryPage(world, repository, pulls ? 'pulls' : 'issues', title, content);
}

export function issuePage(world: World, issue: Issue): Html {
  const state = stateOf(issue);
  const assignees = issue.assignees.map((account) => account.login).join(', ');
  const content = html`<h1>${issue.title} <span class="dim">#${issue.number}</span></h1>
    <div class="row"><span class="state ${state.name}">${state.text}</span> ${labels(issue)}
      <span class="dim">${who(issue.author.login)} opened this ${when(issue.createdAt)}${assignees === '' ? '' : ` · assigned to ${assignees}`}</span></div>
    ${conversation(world, issue)}`;
  return repositoryPage(world, issue.repository, 'issues', issue.title, content);
}
