import { html } from 'hono/html';
import type { RecordedEvent } from '../audit/events.ts';
import { kernelAccount, kernelWords, numbered } from '../audit/kernel-account.ts';
import { duration } from '../audit/markdown.ts';
import type { TaskEntry } from '../store/tasks.ts';
import { notRecognised } from './comments.ts';
import { costWords, messageParagraphs, plainText, STATE_WORDS, stepLines, stepName, taskTitle } from './words.ts';

type Html = ReturnType<typeof html>;

const MARKS = { ok: '✓', failed: '✗', running: '…' } as const;
const OUTPUT_SHOWN = 20_000;
const COMMANDS_SHOWN = 300;
const COMMAND_SHOWN = 300;
const OUTCOMES = { note: 'noted', hold: 'held', refuse: 'refused' } as const;
/** What the door answers itself or passes to our own gateways. */
const SERVED: ReadonlySet<string> = new Set(['git', 'snapshot', 'model']);
const CLASSES = { note: '', hold: 'busy', refuse: 'bad' } as const;

function steps(events: readonly RecordedEvent[]): Html {
  const lines = stepLines(events).map(
    (line) =>
      html`<li><span class="${line.state === 'running' ? 'busy' : line.state === 'ok' ? 'ok' : 'bad'}">${MARKS[line.state]}</span>
      <span>${stepName(line)}</span><span class="ms">${line.ms === null ? '' : duration(line.ms)}</span></li>`,
  );
  return html`<h2>Steps</h2><ol class="steps">${lines}</ol>`;
}

function plan(events: readonly RecordedEvent[]): Html {
  const found = events.findLast(({ event }) => event.type === 'plan')?.event;
  return found?.type === 'plan' ? html`<h2>Plan</h2><pre>${plainText(found.text)}</pre>` : html``;
}

function verification(events: readonly RecordedEvent[]): Html {
  const rows = events.flatMap(({ event, seq }) => {
    if (event.type !== 'command.ran') return [];
    const { phase, command, end, exitCode, ms, outputTail } = event.result;
    const passed = end === 'exited' && exitCode === 0;
    return [
      html`<tr><td>${phase.replace('_', ' ')}</td><td><code>${command}</code></td>
      <td class="${passed ? 'ok' : 'bad'}">${end === 'exited' ? `exit ${exitCode}` : end.replace('_', ' ')}</td><td>${duration(ms)}</td>
      <td><details id="o${seq}"><summary>output</summary><pre>${plainText(outputTail)}</pre></details></td></tr>`,
    ];
  });
  if (rows.length === 0) return html``;
  return html`<h2>Verification</h2><table><thead><tr><th>Where</th><th>Command</th><th>Result</th><th>Time</th><th></th></tr></thead><tbody>${rows}</tbody></table>`;
}

function notRun(events: readonly RecordedEvent[]): Html {
  const lines = notRecognised(events);
  if (lines.length === 0) return html``;
  return html`<h2>Not recognised in the rules, and so not run</h2><ul>${lines.map((line) => html`<li>${plainText(line)}</li>`)}</ul>`;
}

function egress(events: readonly RecordedEvent[]): Html {
  const rows = events.flatMap(({ event }) => {
    // Reads of the task's own repository and the model's turns are told elsewhere, unless they did not pass.
    if (event.type !== 'door.decision' || (SERVED.has(event.route) && event.verdict === 'allowed')) return [];
    return [
      html`<tr><td>${event.phase}</td><td>${event.method}</td><td>${event.host}:${event.port}${event.path}</td>
      <td class="${event.verdict === 'allowed' ? 'ok' : 'bad'}">${event.verdict}</td><td>${event.rule ?? event.reason}</td></tr>`,
    ];
  });
  if (rows.length === 0) return html``;
  return html`<h2>Egress</h2><details id="egress"><summary>${rows.length} decisions of the door</summary><table><thead><tr><th>Phase</th><th>Method</th><th>Where</th><th>Verdict</th><th>Rule or reason</th></tr></thead><tbody>${rows}</tbody></table></details>`;
}

/** What the kernel saw, command by command; what descends from none stands first. */
function kernel(events: readonly RecordedEvent[]): Html {
  const account = kernelAccount(events);
  if (account === null) return html``;
  const strangers = account.strangersSeen
    .slice(0, COMMANDS_SHOWN)
    .map(
      ({ argv, executable }) =>
        html`<li class="bad"><code>${plainText((argv.join(' ') || executable).slice(0, COMMAND_SHOWN))}</code></li>`,
    );
  const rows = numbered(account)
    .slice(0, COMMANDS_SHOWN)
    .map(
      ({ purpose, command, first, processes, places }) =>
        html`<tr><td>${purpose.replace('_', ' ')}</td><td>${command}</td><td><code>${plainText(first.slice(0, COMMAND_SHOWN))}</code></td><td>${processes}</td><td>${plainText(places.join(', ').slice(0, COMMAND_SHOWN))}</td></tr>`,
    );
  return html`<h2>What the kernel saw</h2><p class="${account.strangers === 0 ? '' : 'bad'}">${plainText(kernelWords(account))}</p>${strangers.length === 0 ? html`` : html`<ul>${strangers}</ul>`}
<details id="kernel"><summary>${numbered(account).length} commands</summary><table><thead><tr><th>Sandbox</th><th>No.</th><th>Command</th><th>Programs</th><th>Connects</th></tr></thead><tbody>${rows}</tbody></table></details>`;
}

function agent(events: readonly RecordedEvent[]): Html {
  const rows = events.flatMap(({ event, seq }) => {
    if (event.type === 'agent.said') return [html`<pre>${plainText(event.text)}</pre>`];
    if (event.type !== 'agent.tool') return [];
    return [
      html`<details id="t${seq}"><summary><span class="${event.ok ? 'ok' : 'bad'}">${event.ok ? '✓' : '✗'}</span> ${event.tool} · ${duration(event.ms)}</summary><pre>${plainText(event.input)}</pre><pre>${plainText(event.output)}</pre></details>`,
    ];
  });
  return rows.length === 0 ? html`` : html`<h2>Agent</h2>${rows}`;
}

function output(events: readonly RecordedEvent[]): Html {
  const text = events.flatMap(({ event }) => (event.type === 'output' ? [event.text] : [])).join('');
  if (text === '') return html``;
  return html`<h2>Output</h2><details id="output" open><summary>the last of it</summary><pre>${plainText(text.slice(-OUTPUT_SHOWN))}</pre></details>`;
}

function diff(text: string | null): Html {
  if (text === null || text === '') return html``;
  const lines = text.split('\n').map((line) => {
    const kind = /^\+(?!\+\+)/.test(line) ? 'add' : /^-(?!--)/.test(line) ? 'del' : '';
    return html`<span class="${kind}">${plainText(line)}</span>\n`;
  });
  return html`<h2>Change</h2><pre>${lines}</pre>`;
}

function quarantine(events: readonly RecordedEvent[]): Html {
  const found = events.findLast(({ event }) => event.type === 'quarantine.checked')?.event;
  if (found?.type !== 'quarantine.checked' || found.findings.length === 0) return html``;
  const rows = found.findings.map(
    ({ rule, path, detail, outcome }) =>
      html`<tr><td>${plainText(path)}</td><td>${rule.replaceAll('_', ' ')}</td><td>${plainText(detail)}</td><td class="${CLASSES[outcome]}">${OUTCOMES[outcome]}</td></tr>`,
  );
  return html`<h2>Quarantine</h2><table><thead><tr><th>File</th><th>Finding</th><th>Detail</th><th>Outcome</th></tr></thead><tbody>${rows}</tbody></table>`;
}

/** What stood in the work tree and is not in the change: a reader who misses something finds it here. */
function leftOut(events: readonly RecordedEvent[]): Html {
  const found = events.findLast(({ event }) => event.type === 'change.taken')?.event;
  const names = found?.type === 'change.taken' ? (found.leftOut ?? []) : [];
  if (names.length === 0) return html``;
  return html`<p>Not part of the change, as untracked before the agent began or a repository of its own: ${plainText(names.join(', '))}</p>`;
}

/** One attempt as its page shows it. */
export interface ShownAttempt {
  readonly attempt: number;
  readonly events: readonly RecordedEvent[];
  readonly sealed: boolean;
  /** The path of the task's page. */
  readonly path: string;
}

/** Everything of a task that changes while it runs. */
export function taskBody(entry: TaskEntry, shown: ShownAttempt): Html {
  const { task, traces } = entry;
  return html`<h1>${taskTitle(task)}: ${task.issue.title}</h1>
<dl>
<dt>State</dt><dd class="state ${task.state}">${STATE_WORDS[task.state]}</dd>
<dt>What it means</dt><dd>${messageParagraphs(task.message).map((paragraph) => html`<p>${paragraph}</p>`)}</dd>
<dt>Asked by</dt><dd>${task.actor.login}</dd>
<dt>Base</dt><dd><code>${task.base.ref}</code> at <code>${task.base.sha}</code></dd>
<dt>Attempt</dt><dd>${shown.attempt}</dd>
<dt>Spent</dt><dd>${costWords(shown.events)}</dd>
${traces.pullRequest === null ? html`` : html`<dt>Pull request</dt><dd><a href="${traces.pullRequest.url}">#${traces.pullRequest.number}</a></dd>`}
${shown.sealed ? html`<dt>Record</dt><dd><a href="${shown.path}/record">sealed; download it</a> and check it with <code>coatcheck audit verify FILE</code></dd>` : html``}
</dl>
${steps(shown.events)}${verification(shown.events)}${notRun(shown.events)}${plan(shown.events)}${agent(shown.events)}${output(shown.events)}${egress(shown.events)}${kernel(shown.events)}${quarantine(shown.events)}${diff(entry.diff)}${leftOut(shown.events)}`;
}
