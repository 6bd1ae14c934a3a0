/** A repository's files, branches and commits. */
import { html } from 'hono/html';
import parseDiff from 'parse-diff';
import type { Repository } from '../entities.ts';
import { GitFailure, git, refsOf } from '../git-store.ts';
import { resolveRef } from '../pulls.ts';
import type { World } from '../world.ts';
import { type Html, repositoryPage } from './layout.ts';
import { markdown } from './markdown.ts';

const SHOWN_BYTES = 200_000;
const HEADS = 'refs/heads/';

async function read(world: World, repository: Repository, args: readonly string[]): Promise<string | null> {
  try {
    return (await git(world.directory, repository.directory, args)).toString();
  } catch (thrown) {
    if (thrown instanceof GitFailure) return null;
    throw thrown;
  }
}

/** Splits `BRANCH/PATH`, where branches may hold slashes. */
async function split(world: World, repository: Repository, text: string): Promise<{ ref: string; path: string }> {
  const refs = await refsOf(world.directory, repository.directory);
  const branch = [...refs.keys()]
    .filter((ref) => ref.startsWith(HEADS))
    .map((ref) => ref.slice(HEADS.length))
    .find((name) => text === name || text.startsWith(`${name}/`));
  const [first = ''] = text.split('/');
  const ref = branch ?? first;
  return { ref, path: text.slice(ref.length + 1) };
}

async function fileList(world: World, repository: Repository, ref: string, path: string): Promise<Html> {
  const listing = (await read(world, repository, ['ls-tree', '-z', ref, ...(path === '' ? [] : ['--', `${path}/`])])) ?? '';
  const base = `/${repository.owner.login}/${repository.name}`;
  const entries = listing
    .split('\0')
    .filter(Boolean)
    .map((entry) => {
      const at = entry.indexOf('\t');
      return { tree: entry.slice(0, at).includes(' tree '), path: entry.slice(at + 1) };
    });
  entries.sort((a, b) => Number(b.tree) - Number(a.tree) || a.path.localeCompare(b.path));
  return html`${entries.map(
    (entry) =>
      html`<div class="item"><span class="dim">${entry.tree ? '▸' : '·'}</span>
        <a class="grow" href="${base}/${entry.tree ? 'tree' : 'blob'}/${ref}/${entry.path}">${entry.path.split('/').at(-1)}${entry.tree ? '/' : ''}</a></div>`,
  )}`;
}

export async function home(world: World, repository: Repository, at: string): Promise<Html> {
  const { ref, path } = await split(world, repository, at === '' ? repository.defaultBranch : at);
  const base = `/${repository.owner.login}/${repository.name}`;
  const refs = await refsOf(world.directory, repository.directory);
  const branches = [...refs].filter(([name]) => name.startsWith(HEADS));
  const last = (await read(world, repository, ['log', '-1', '--format=%h%x00%an%x00%s', ref, '--'])) ?? '';
  const [sha = '', author = '', subject = ''] = last.trim().split('\0');
  const readme = path === '' ? await read(world, repository, ['cat-file', 'blob', `${ref}:README.md`]) : null;
  const commit = html`<div class="head row"><strong>${author}</strong> <span>${subject}</span> <a class="mono dim" href="${base}/commit/${sha}">${sha}</a></div>`;
  const empty = html`<p>This repository is empty.</p>`;
  const content = html`<div class="row"><span class="pill">${ref}</span>${path === '' ? '' : html`<span class="mono">${path}/</span>`}
      <span class="dim">${branches.length} ${branches.length === 1 ? 'branch' : 'branches'} · <code>git clone ${world.url}${base}.git</code></span></div>
    ${branches.length === 0 ? empty : html`<div class="box">${commit}${await fileList(world, repository, ref, path)}</div>`}
    ${readme === null ? '' : html`<div class="box"><div class="head"><strong>README.md</strong></div><div class="body" style="padding:4px 20px">${markdown(readme)}</div></div>`}
    <h2>Branches</h2><div class="box">${branches.map(([name, id]) => {
      const short = name.slice(HEADS.length);
      return html`<div class="item"><a class="grow mono" href="${base}/tree/${short}">${short}</a><a class="mono dim" href="${base}/commit/${id}">${id.slice(0, 10)}</a></div>`;
    })}</div>`;
  return repositoryPage(world, repository, 'code', ref, content);
}

export async function file(world: World, repository: Repository, at: string): Promise<Html | null> {
  const { ref, path } = await split(world, repository, at);
  const text = await read(world, repository, ['cat-file', 'blob', `${ref}:${path}`]);
  if (text === null) return null;
  const shown = text.length > SHOWN_BYTES ? `${text.slice(0, SHOWN_BYTES)}\n…` : text;
  const lines = shown.replace(/\n$/, '').split('\n');
  const content = html`<div class="row"><span class="pill">${ref}</span> <span class="mono">${path}</span></div>
    <div class="box"><table class="diff mono">${lines.map((line, index) => html`<tr><td class="n">${index + 1}</td><td>${line}</td></tr>`)}</table></div>`;
  return repositoryPage(world, repository, 'code', path, content);
}

/** A diff between two commits as boxes, one for each file. */
export async function diffBoxes(world: World, repository: Repository, args: readonly string[]): Promise<Html> {
  const text = (await read(world, repository, [...args])) ?? '';
  return html`${parseDiff(text).map((entry) => {
    const name = entry.deleted ? entry.from : entry.to;
    const note = entry.new ? ' added' : entry.deleted ? ' deleted' : '';
    const rows = entry.chunks.map(
      (chunk) =>
        html`<tr class="hunk"><td class="n"></td><td class="n"></td><td>${chunk.content}</td></tr>${chunk.changes.map(
          (change) => {
            const before = change.type === 'normal' ? change.ln1 : change.type === 'del' ? change.ln : '';
            const after = change.type === 'normal' ? change.ln2 : change.type === 'add' ? change.ln : '';
            return html`<tr class="${change.type}"><td class="n">${before}</td><td class="n">${after}</td><td>${change.content}</td></tr>`;
          },
        )}`,
    );
    return html`<div class="box"><div class="head row"><span class="mono">${name}</span><span class="dim">${note}</span>
      <span class="plus">+${entry.additions}</span><span class="minus">−${entry.deletions}</span></div><table class="diff mono">${rows}</table></div>`;
  })}`;
}

export async function commitPage(world: World, repository: Repository, id: string): Promise<Html | null> {
  const sha = /^[0-9a-f]{7,40}$/.test(id) ? await resolveRef(world, repository.directory, id) : null;
  if (sha === null) return null;
  const shown = (await read(world, repository, ['log', '-1', '--format=%an <%ae>%x00%cn%x00%T%x00%P%x00%B', sha])) ?? '';
  const [author = '', committer = '', tree = '', parents = '', message = ''] = shown.split('\0');
  const [subject = '', ...rest] = message.trimEnd().split('\n');
  const base = `/${repository.owner.login}/${repository.name}`;
  const content = html`<h1>${subject}</h1><pre>${rest.join('\n').trim()}</pre>
    <p class="dim">${author} · committed by ${committer} · tree <span class="mono">${tree.slice(0, 10)}</span> · parents
      ${parents
        .split(' ')
        .filter(Boolean)
        .map(
          (parent) => html`<a class="mono" href="${base}/commit/${parent}">${parent.slice(0, 10)}</a> `,
        )} · <span class="mono">${sha}</span></p>
    ${await diffBoxes(world, repository, ['diff-tree', '--root', '--no-commit-id', '-p', '-r', '--no-color', '--no-ext-diff', sha])}`;
  return repositoryPage(world, repository, 'code', subject, content);
}
