import { CoatcheckError } from '../errors.ts';
import type { EndReason } from '../task/task.ts';

/** What a person can do about each way in which the agent's part of a task ends early. */
const NEXT = {
  setup_failed: 'Make the install commands work on the base branch, or correct them in the rule file.',
  turn_limit: 'Split the issue into smaller ones, or raise limits.turns.',
  token_limit: 'Split the issue into smaller ones, or raise limits.tokens.',
  daily_limit: 'Wait for the next day (UTC), or raise the daily cap in the policy file.',
  model_refused: 'Reword the issue, or choose another model.',
  model_unavailable: "Try again later; see the model endpoint's own status and the gateway's log.",
  model_nonsense: 'Try again, or choose another model.',
  context_exceeded: 'Split the issue into smaller ones, or choose a model with a larger context.',
  sandbox_died: 'The task is tried again by itself.',
  out_of_memory: 'Raise limits.memory, or make the commands need less.',
} as const satisfies Partial<Record<EndReason, string>>;

export type AgentEndReason = keyof typeof NEXT;

/** The agent's or the runner's part of an attempt came to an early end; `reason` is the attempt's reason. */
export class AgentEnded extends CoatcheckError {
  readonly reason: AgentEndReason;

  constructor(reason: AgentEndReason, what: string, options?: { cause?: unknown }) {
    super(reason, what, NEXT[reason], options);
    this.name = 'AgentEnded';
    this.reason = reason;
  }
}
