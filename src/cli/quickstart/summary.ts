import type { RecordedEvent } from '../../audit/events.ts';
import { type Cost, costOf } from '../../audit/render.ts';
import type { CommandResult } from '../../task/verification.ts';
import type { TaskEnd } from './follow.ts';

/** What `--json` prints as its last line. */
export interface Summary {
  readonly task: string;
  readonly state: string;
  readonly pull_request: string | null;
  readonly check_run: string | null;
  readonly head_sha: string | null;
  readonly verification: readonly { readonly command: string; readonly exit_code: number | null; readonly ms: number }[];
  readonly cost: Cost;
  readonly steps: readonly { readonly name: string; readonly ms: number }[];
  readonly record: string;
  readonly record_verified: boolean;
  /** Milliseconds from the trigger to the end, and how much of it is coatcheck's own. */
  readonly total_ms: number;
  readonly overhead_ms: number;
}

/** The results that the verdict on the exact tree rests on. */
export const judged = (events: readonly RecordedEvent[]): CommandResult[] =>
  events.flatMap(({ event }) =>
    event.type === 'command.ran' && (event.result.phase === 'clean_room' || event.result.phase === 'yardstick')
      ? [event.result]
      : [],
  );

/** Time spent in the model, in the repository's own commands and in moving the repository: not coatcheck's doing. */
function othersMs(events: readonly RecordedEvent[]): number {
  let ms = 0;
  for (const { event } of events) {
    if (event.type === 'model.call' || event.type === 'setup.ran') ms += event.ms;
    if (event.type === 'command.ran') ms += event.result.ms;
    if (event.type === 'agent.tool' && event.tool === 'run') ms += event.ms;
    if (event.type === 'step.ended' && (event.step === 'mirror' || event.step === 'lay_in' || event.step === 'hand_over'))
      ms += event.ms;
  }
  return ms;
}

export function summarise(end: TaskEnd, events: readonly RecordedEvent[], totalMs: number, verified: boolean): Summary {
  return {
    task: end.task.id,
    state: end.task.state,
    pull_request: end.traces.pullRequest?.url ?? null,
    check_run: end.traces.checkRun?.url ?? null,
    head_sha: end.traces.commit,
    verification: judged(events).map(({ command, exitCode, ms }) => ({ command, exit_code: exitCode, ms: Math.round(ms) })),
    cost: costOf(events.flatMap(({ event }) => (event.type === 'model.call' ? [event] : []))),
    steps: events.flatMap(({ event }) => (event.type === 'step.ended' ? [{ name: event.step, ms: Math.round(event.ms) }] : [])),
    record: end.record,
    record_verified: verified,
    total_ms: Math.round(totalMs),
    overhead_ms: Math.round(Math.max(0, totalMs - othersMs(events))),
  };
}
