/** The one style sheet of the task pages: light and dark, from a phone's width up. */
export const STYLE = `
:root { color-scheme: light dark; --line: light-dark(#d0d7de, #3d444d); --soft: light-dark(#f6f8fa, #151b23); --ok: light-dark(#1a7f37, #3fb950); --bad: light-dark(#cf222e, #f85149); --busy: light-dark(#9a6700, #d29922); }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; margin: .5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 1.5rem 0 .5rem; }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top; }
td code { overflow-wrap: anywhere; }
th { background: var(--soft); }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: .7rem; overflow: auto; max-height: 32rem; font: 13px/1.45 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
pre .add { color: var(--ok); } pre .del { color: var(--bad); }
.state { font-weight: 600; } .ok, .ready { color: var(--ok); } .bad, .failed, .refused, .timed_out { color: var(--bad); } .busy, .running, .queued, .publishing, .draft, .held { color: var(--busy); }
ol.steps { list-style: none; padding: 0; } ol.steps li { display: flex; gap: .6rem; border-bottom: 1px solid var(--line); padding: .15rem 0; } ol.steps .ms { margin-left: auto; font-variant-numeric: tabular-nums; }
details { margin: .4rem 0; } summary { cursor: pointer; } dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; } dd { margin: 0; overflow-wrap: anywhere; } dd p { margin: 0 0 .4rem; }
`;

/** Follows a running task: each recorded event asks for the body anew, at most twice a second. */
export const LIVE_SCRIPT = `
const main = document.getElementById('task');
const base = main.dataset.live;
const source = new EventSource(base + '/events');
let asked = false;
async function refresh() {
  asked = false;
  const answer = await fetch(base + '/body');
  if (!answer.ok) return;
  const open = new Set([...main.querySelectorAll('details[open]')].map((d) => d.id));
  main.innerHTML = await answer.text();
  for (const d of main.querySelectorAll('details')) if (open.has(d.id)) d.open = true;
}
function ask() { if (!asked) { asked = true; setTimeout(refresh, 500); } }
source.addEventListener('recorded', ask);
source.addEventListener('end', () => { source.close(); ask(); });
`;
