import type { RecordedEvent, Step } from '../audit/events.ts';
import { costLine, costOf, verdictLine } from '../audit/render.ts';
import type { EndReason, Task, TaskState } from '../task/task.ts';
import type { Verdict } from '../task/verification.ts';

/** A task's state as a person reads it; the same words in comments, checks, pages and the terminal. */
export const STATE_WORDS: { readonly [S in TaskState]: string } = {
  queued: 'Waiting for a host',
  running: 'Running',
  publishing: 'Checking the change and publishing',
  ready: 'Done: verified pull request',
  draft: 'Done: draft pull request',
  held: 'Held: a person has to approve',
  no_change: 'Done: nothing to change',
  refused: 'Refused',
  failed: 'Failed',
  timed_out: 'Timed out',
  cancelled: 'Stopped',
};

export const STEP_WORDS: { readonly [S in Step]: string } = {
  claim: 'Taken by a host',
  sandbox: 'Start the sandbox',
  door: 'Open the door',
  mirror: 'Fetch the repository',
  lay_in: 'Lay the repository in',
  setup: 'Set up',
  baseline: 'Baseline on the base',
  plan: 'Plan',
  work: 'Work',
  verify: 'Verify',
  take_out: 'Take the change out',
  clean_room: 'Clean room',
  hand_over: 'Hand over',
  clean_up: 'Clean up',
  quarantine: 'Quarantine',
  commit: 'Commit',
  publish: 'Publish',
  revoke: 'Revoke credentials',
};

const REASON_WORDS: { readonly [R in EndReason]: string } = {
  verified: 'Every declared command passed on the exact tree, also with the base’s own tests and command definitions put back.',
  verification_failed: 'Declared commands that passed on the base fail on the change.',
  nothing_to_verify: 'The repository declares no build, test or lint command, so nothing could be verified.',
  own_yardstick_only: 'The change passes only with its own edits to tests or command definitions; with the base’s it fails.',
  unjudged: 'The verification could not be carried out to its end.',
  nothing_changed: 'The agent changed no file.',
  approval_needed: 'The change is held: policy wants a person to look at it first.',
  quarantine: 'The change did not pass the checks of the quarantine.',
  policy: 'The policy does not allow it.',
  setup_failed: 'The repository’s set-up commands failed on the base.',
  turn_limit: 'The agent used up its turns.',
  token_limit: 'The task used up its tokens.',
  daily_limit: 'The installation used up its tokens for today.',
  wall_limit: 'The task ran longer than its limit.',
  model_refused: 'The model refused to go on.',
  model_unavailable: 'The model could not be reached, or failed again and again.',
  model_nonsense: 'The model’s answers could not be used.',
  context_exceeded: 'The work did not fit into the model’s context.',
  repository_unreadable: 'The repository could not be read.',
  repository_empty: 'The repository has no commit to start from.',
  change_unreadable: 'The change could not be taken out of the sandbox.',
  out_of_memory: 'The sandbox ran out of memory.',
  sandbox_died: 'The sandbox ended unexpectedly.',
  sandbox_unavailable: 'The host cannot give the sandbox that the policy asks for.',
  door_died: 'The sandbox’s door ended unexpectedly.',
  host_lost: 'The host stopped reporting.',
  publish_failed: 'The pull request could not be published.',
  stopped: 'It was stopped.',
  internal: 'An error in coatcheck itself.',
};

/** Why a task ended, in a sentence. */
export const reasonWords = (reason: EndReason): string => REASON_WORDS[reason];

/** What a verdict makes of a change. */
export function endingOf(verdict: Verdict): { state: 'ready' | 'draft'; reason: EndReason; message: string } {
  switch (verdict.kind) {
    case 'passed':
      return { state: 'ready', reason: 'verified', message: reasonWords('verified') };
    case 'failed':
      return { state: 'draft', reason: 'verification_failed', message: verdictLine(verdict) };
    case 'nothing_to_verify':
      return { state: 'draft', reason: 'nothing_to_verify', message: reasonWords('nothing_to_verify') };
    case 'own_yardstick_only':
      return { state: 'draft', reason: 'own_yardstick_only', message: verdictLine(verdict) };
    case 'unjudged':
      return { state: 'draft', reason: 'unjudged', message: verdictLine(verdict) };
  }
}

export interface StepLine {
  readonly step: Step;
  readonly round: number | undefined;
  readonly state: 'running' | 'ok' | 'failed';
  readonly ms: number | null;
}

/** The steps of an attempt with their times, in the order in which they began. */
export function stepLines(events: readonly RecordedEvent[]): StepLine[] {
  const lines: StepLine[] = [];
  for (const { event } of events) {
    if (event.type === 'step.started') lines.push({ step: event.step, round: event.round, state: 'running', ms: null });
    if (event.type !== 'step.ended') continue;
    const at = lines.findLastIndex((line) => line.step === event.step && line.round === event.round && line.ms === null);
    if (at >= 0) lines[at] = { step: event.step, round: event.round, state: event.ok ? 'ok' : 'failed', ms: event.ms };
  }
  return lines;
}

export const stepName = (line: Pick<StepLine, 'step' | 'round'>): string =>
  line.round === undefined ? STEP_WORDS[line.step] : `${STEP_WORDS[line.step]} (round ${line.round})`;

/** What the model calls of an attempt came to, in a line. */
export const costWords = (events: readonly RecordedEvent[]): string =>
  costLine(costOf(events.flatMap(({ event }) => (event.type === 'model.call' ? [event] : []))));

export const taskTitle = (task: Task): string => `${task.repository.owner}/${task.repository.name}#${task.issue.number}`;

// biome-ignore lint/complexity/useRegexLiterals: as a literal, a colour sequence's escape could not be told from a mistake
const COLOURS = new RegExp('\\u001b\\[[0-9;?]*[ -/]*[@-~]', 'g');
const INVISIBLE = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Colour sequences go and other control characters become visible: nothing acts on what a command printed. */
export const plainText = (text: string): string => text.replace(COLOURS, '').replace(INVISIBLE, '·');

/** A task's message as plain paragraphs: written in Markdown for GitHub. Lists are left out: the page has tables for them. */
export const messageParagraphs = (message: string): string[] =>
  message
    .split('\n\n')
    .filter((paragraph) => !/^\s*(?:- |$)/.test(paragraph))
    .map((paragraph) => plainText(paragraph.replace(/(`+) ?(.*?) ?\1/g, '$2')));
