import type { HostEvent, RecordedEvent } from '../audit/events.ts';
import { kernelAccount, kernelSection, kernelWarning } from '../audit/kernel-account.ts';
import { codeCell, duration, folded } from '../audit/markdown.ts';
import { egressTable, planSection, verdictLine, verificationTable } from '../audit/render.ts';
import { CHECK_TEXT_CHARS, COMMENT_CHARS, clipMarkdown } from '../github/clip.ts';
import { neutraliseMarkdown, neutraliseTitle } from '../github/neutralise.ts';
import type { TaskEntry } from '../store/tasks.ts';
import type { AgentSummary } from '../task/protocol.ts';
import { isEnd, type Task } from '../task/task.ts';
import type { Verification } from '../task/verification.ts';
import { costWords, reasonWords, STATE_WORDS, stepLines, stepName } from './words.ts';

const MARKS = { ok: '✓', failed: '✗', running: '…' } as const;

const planOf = (events: readonly RecordedEvent[]): string | null => {
  const found = events.findLast(({ event }) => event.type === 'plan')?.event;
  return found?.type === 'plan' ? found.text : null;
};

const verificationOf = (events: readonly RecordedEvent[]): Verification | null => {
  const found = events.findLast(({ event }) => event.type === 'verification')?.event;
  return found?.type === 'verification' ? found.verification : null;
};

const decisions = (events: readonly RecordedEvent[]): Extract<HostEvent, { type: 'door.decision' }>[] =>
  events.flatMap(({ event }) => (event.type === 'door.decision' ? [event] : []));

function stepList(events: readonly RecordedEvent[]): string {
  return stepLines(events)
    .map((line) => `- ${MARKS[line.state]} ${stepName(line)}${line.ms === null ? '' : ` (${duration(line.ms)})`}`)
    .join('\n');
}

/** Where a task stands; it may quote what a command printed or a model endpoint answered. */
const messageOf = (task: Task): string => neutraliseMarkdown(task.message, 20_000);

/** Lines of the rule file that look like commands and are not run: whoever relies on them should know. */
export function notRecognised(events: readonly RecordedEvent[]): readonly string[] {
  const found = events.findLast(({ event }) => event.type === 'policy.resolved')?.event;
  return found?.type === 'policy.resolved' ? found.notRecognised : [];
}

function notRunSection(events: readonly RecordedEvent[]): string {
  const lines = notRecognised(events);
  if (lines.length === 0) return '';
  return folded(
    `${lines.length === 1 ? 'One line' : `${lines.length} lines`} of the rules not recognised, and so not run`,
    lines.map((line) => `- ${codeCell(line, 400)}`).join('\n'),
  );
}

/** What the record came to once it is sealed. */
export interface Sealed {
  readonly digest: string;
  readonly count: number;
  readonly keyId: string;
}

const sealLines = (sealed: Sealed | null): string =>
  sealed === null
    ? ''
    : `Record: ${sealed.count} events, SHA-256 \`${sealed.digest}\`, key \`${sealed.keyId.slice(0, 16)}…\`. ` +
      'Check it with `coatcheck audit verify FILE`.';

/** The one comment on the issue: the state in words, why, the steps, and where to see more. */
export function statusComment(entry: TaskEntry, events: readonly RecordedEvent[], page: string, sealed: Sealed | null): string {
  const { task, traces } = entry;
  const plan = planOf(events);
  const parts = [
    `**${STATE_WORDS[task.state]}**${task.message === '' ? '' : `: ${messageOf(task)}`}`,
    traces.pullRequest === null ? '' : `Pull request: #${traces.pullRequest.number}`,
    kernelWarning(kernelAccount(events)),
    isEnd(task.state) ? folded('Steps', stepList(events)) : stepList(events),
    plan === null ? '' : planSection(plan),
    notRunSection(events),
    isEnd(task.state) ? costWords(events) : '',
    `[Task page](${page})${isEnd(task.state) ? '' : ' · comment `/coatcheck stop` to stop it'}`,
    sealLines(sealed),
  ];
  return clipMarkdown(parts.filter((part) => part !== '').join('\n\n'), COMMENT_CHARS - 500);
}

/** Title and body of the pull request. `marked` says in the title that it is a draft where GitHub has no drafts. */
export function pullRequestText(
  task: Task,
  change: { readonly summary: AgentSummary; readonly verification: Verification; readonly notes: readonly Finding[] },
  plan: string | null,
  page: string,
  marked: boolean,
): { title: string; body: string } {
  const { summary, verification, notes } = change;
  const title = neutraliseTitle(summary.title === '' ? task.issue.title : summary.title);
  const parts = [
    neutraliseMarkdown(summary.body, 20_000),
    verification.verdict.kind === 'passed' ? '' : `> [!WARNING]\n> ${verdictLine(verification.verdict)}`,
    `### Verification\n\n${verificationTable(verification)}`,
    notes.length === 0 ? '' : `### Worth a look\n\n${findingList(notes)}`,
    plan === null ? '' : planSection(plan),
    `Fixes #${task.issue.number}`,
    `Asked for by ${codeCell(task.actor.login)} · base \`${task.base.sha.slice(0, 12)}\` · verified tree \`${verification.tree.slice(0, 12)}\` · [task page](${page})`,
    `<!-- coatcheck:task=${task.id} -->`,
  ];
  return {
    title: marked ? neutraliseTitle(`[draft] ${title}`) : title,
    body: clipMarkdown(parts.filter((part) => part !== '').join('\n\n'), COMMENT_CHARS - 500),
  };
}

/** What the check run on the pushed head shows. */
export function checkText(
  entry: TaskEntry,
  events: readonly RecordedEvent[],
  sealed: Sealed | null,
): { title: string; summary: string } {
  const { task } = entry;
  const verification = verificationOf(events);
  const plan = planOf(events);
  const kernel = kernelAccount(events);
  const parts = [
    messageOf(task),
    verification === null ? '' : `### Verification\n\n${verificationTable(verification)}`,
    `### Cost\n\n${costWords(events)}`,
    `### Egress\n\n${egressTable(decisions(events))}`,
    kernel === null ? '' : `### What the kernel saw\n\n${kernelSection(kernel)}`,
    `### Steps\n\n${stepList(events)}`,
    plan === null ? '' : planSection(plan),
    notRunSection(events),
    sealLines(sealed),
  ];
  return {
    title:
      task.reason === null ? STATE_WORDS[task.state] : `${STATE_WORDS[task.state]}: ${reasonWords(task.reason)}`.slice(0, 250),
    summary: clipMarkdown(parts.filter((part) => part !== '').join('\n\n'), CHECK_TEXT_CHARS - 500),
  };
}

type Finding = { readonly rule: string; readonly path: string; readonly detail: string };

/** What a held change means, and what can be done about it. */
export const heldWords = (keptUntil: Date): string =>
  'Nothing of it was published. The change is on the task page, and the control plane keeps it until ' +
  `${keptUntil.toISOString().slice(0, 10)} at the latest. To go on, take it over by hand from the task page; or let the ` +
  'policy note what is held here (`quarantine` in the operator’s policy) and ask again.';

/** Findings of the quarantine as a list for the one who asked. */
export function findingList(findings: readonly Finding[]): string {
  const byPath = Map.groupBy(findings, ({ path }) => path);
  const lines = [...byPath].map(([path, found]) => {
    const each = found
      .slice(0, 20)
      .map(({ rule, detail }) => `${rule.replaceAll('_', ' ')}${detail === '' ? '' : ` (${codeCell(detail)})`}`);
    const more = found.length > 20 ? [`and ${found.length - 20} more`] : [];
    return `- ${path === '' ? 'The change' : codeCell(path)}: ${[...each, ...more].join(', ')}`;
  });
  const more = lines.length > 20 ? [`- and ${lines.length - 20} more files`] : [];
  return [...lines.slice(0, 20), ...more].join('\n');
}

/** The message of the commit: the agent's title, its words, and who asked. */
export function commitMessage(task: Task, summary: AgentSummary): string {
  const title = neutraliseTitle(summary.title === '' ? task.issue.title : summary.title, 72);
  const body = neutraliseMarkdown(summary.body, 4000);
  // The numeric form is GitHub's own for people who keep their address private, and works for everybody.
  const human = `Co-authored-by: ${task.actor.login} <${task.actor.id}+${task.actor.login}@users.noreply.github.com>`;
  return [title, body, `Issue: #${task.issue.number}\n${human}`].filter((part) => part !== '').join('\n\n');
}
