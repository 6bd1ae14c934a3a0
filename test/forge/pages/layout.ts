/** The frame of every page: one plain style, nothing from elsewhere. */
import { html, raw } from 'hono/html';
import type { Repository } from '../entities.ts';
import type { World } from '../world.ts';

export type Html = ReturnType<typeof html>;

const STYLE = `
:root{--fg:#1f2328;--dim:#59636e;--line:#d1d9e0;--bg:#fff;--soft:#f6f8fa;--link:#0b57b7;--green:#1a7f37;--red:#c62f2f;--violet:#7a3fd1;--amber:#9a6700}
*{box-sizing:border-box}body{margin:0;color:var(--fg);background:var(--bg);font:15px/1.5 system-ui,-apple-system,"Segoe UI","Noto Sans",Helvetica,Arial,sans-serif}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
code,pre,.mono{font-family:ui-monospace,SFMono-Regular,"DejaVu Sans Mono",Menlo,monospace;font-size:13px}
header.top{background:var(--soft);border-bottom:1px solid var(--line);padding:12px 24px 0}
header.top .name{font-size:18px}header.top .brand{color:var(--dim);margin-right:14px;font-weight:600}
nav.tabs{display:flex;gap:4px;margin-top:10px}nav.tabs a{color:var(--fg);padding:8px 12px;border-bottom:2px solid transparent}
nav.tabs a.here{border-color:#e0793a;font-weight:600}nav.tabs a:hover{text-decoration:none;background:#eaeef2;border-radius:6px 6px 0 0}
.count{background:#e4e8ec;border-radius:10px;padding:0 7px;font-size:12px;margin-left:4px}
main{max-width:1080px;margin:24px auto;padding:0 24px}h1{font-size:26px;font-weight:500;margin:0 0 8px}h1 .dim{font-weight:300}h2{font-size:18px;margin:28px 0 8px}
.dim{color:var(--dim)}.row{display:flex;gap:10px;align-items:center;flex-wrap:wrap}
.box{border:1px solid var(--line);border-radius:6px;margin:16px 0;overflow:hidden}.box>.head{background:var(--soft);border-bottom:1px solid var(--line);padding:8px 14px}
.box>.item{padding:9px 14px;border-top:1px solid var(--line);display:flex;gap:12px;align-items:baseline}.box>.item:first-child{border-top:0}.box>.item .grow{flex:1}
.state{display:inline-block;color:#fff;border-radius:14px;padding:3px 12px;font-size:14px;font-weight:600}.state.open{background:var(--green)}.state.closed{background:var(--red)}.state.draft{background:#59636e}.state.merged,.state.done{background:var(--violet)}
.pill{display:inline-block;border:1px solid var(--line);background:var(--soft);border-radius:10px;padding:0 9px;font-size:12px;font-weight:600}
.avatar{display:inline-block;width:32px;height:32px;border-radius:50%;color:#fff;text-align:center;line-height:32px;font-weight:600;flex:none}.avatar.bot{border-radius:7px}
.said{display:flex;gap:12px;margin:16px 0}.said>.box{flex:1;margin:0;min-width:0}.said .body{padding:4px 16px}
.moment{margin:10px 0 10px 44px;color:var(--dim);font-size:14px}.reaction{border:1px solid #b6cdf0;background:#eef5ff;border-radius:12px;padding:0 9px;font-size:13px;margin-right:6px}
.body{overflow-wrap:anywhere}.body table{border-collapse:collapse;display:block;overflow:auto}.body th,.body td{border:1px solid var(--line);padding:4px 11px}.body tr:nth-child(even) td{background:var(--soft)}
.body pre{background:var(--soft);padding:12px;border-radius:6px;overflow:auto}.body :not(pre)>code{background:#eff1f3;padding:1px 5px;border-radius:4px}.body blockquote{margin:0;padding:0 14px;color:var(--dim);border-left:4px solid var(--line)}
.body h1{font-size:22px;font-weight:600;border-bottom:1px solid var(--line)}.body h2{font-size:19px;border-bottom:1px solid var(--line)}.body h3{font-size:16px}
table.diff{border-collapse:collapse;width:100%}table.diff td{padding:0 10px;white-space:pre-wrap;overflow-wrap:anywhere;vertical-align:top;font-size:12.5px;line-height:20px}table.diff td.n{width:1%;min-width:44px;text-align:right;color:var(--dim);user-select:none;white-space:nowrap}
tr.add td{background:#e6ffec}tr.add td.n{background:#ccf5d4}tr.del td{background:#ffebe9}tr.del td.n{background:#ffd7d5}tr.hunk td{background:#ddf4ff;color:var(--dim)}
.plus{color:var(--green);font-weight:600}.minus{color:var(--red);font-weight:600}.ok{color:var(--green)}.bad{color:var(--red)}.wait{color:var(--amber)}
button{font:inherit;background:var(--green);color:#fff;border:0;border-radius:6px;padding:7px 16px;cursor:pointer}
footer{color:var(--dim);font-size:12px;text-align:center;padding:30px}
`;

/** What is open in a repository, for the tabs. */
function openCount(world: World, repository: Repository, pulls: boolean): number {
  return world.issues.filter(
    (issue) => issue.repository === repository && issue.state === 'open' && (issue.pull !== null) === pulls,
  ).length;
}

function tabs(world: World, repository: Repository, here: Tab): Html {
  const base = `/${repository.owner.login}/${repository.name}`;
  const tab = (name: Tab, title: string, path: string, count?: number) =>
    html`<a class="${name === here ? 'here' : ''}" href="${base}${path}">${title}${count === undefined ? '' : html`<span class="count">${count}</span>`}</a>`;
  return html`<nav class="tabs">
    ${tab('code', 'Code', '')}
    ${tab('issues', 'Issues', '/issues', openCount(world, repository, false))}
    ${tab('pulls', 'Pull requests', '/pulls', openCount(world, repository, true))}
  </nav>`;
}

export type Tab = 'code' | 'issues' | 'pulls';

export function repositoryPage(world: World, repository: Repository, here: Tab, title: string, content: Html): Html {
  const { owner, name } = repository;
  const heading = html`<span class="name"><span class="brand">forge</span><a href="/${owner.login}">${owner.login}</a> <span class="dim">/</span>
    <a href="/${owner.login}/${name}"><strong>${name}</strong></a></span> <span class="pill">${repository.private ? 'Private' : 'Public'}</span>${tabs(world, repository, here)}`;
  return frame(`${title} · ${owner.login}/${name}`, heading, content);
}

export function frame(title: string, heading: Html, content: Html): Html {
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title><link rel="icon" href="data:,"><style>${raw(STYLE)}</style></head>
<body><header class="top">${heading}</header><main>${content}</main>
<footer>forge, a look-alike of a code host for tests; everything here is on this machine.</footer></body></html>`;
}

export function avatar(login: string): Html {
  const hue = [...login].reduce((sum, letter) => (sum * 31 + (letter.codePointAt(0) ?? 0)) % 360, 7);
  const bot = login.endsWith('[bot]');
  return html`<span class="avatar ${bot ? 'bot' : ''}" style="background:hsl(${hue} 42% 44%)" aria-hidden="true">${login.slice(0, 1).toUpperCase()}</span>`;
}

/** A login as people see it, bots marked. */
export function who(login: string): Html {
  if (!login.endsWith('[bot]')) return html`<strong>${login}</strong>`;
  return html`<strong>${login.slice(0, -'[bot]'.length)}</strong> <span class="pill">bot</span>`;
}

export const when = (at: string | null): Html =>
  html`<time datetime="${at ?? ''}">${(at ?? '').replace('T', ' ').replace('Z', ' UTC')}</time>`;
