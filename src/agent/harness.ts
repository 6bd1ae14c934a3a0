import type { HostEvent } from '../audit/events.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { AgentSummary } from '../task/protocol.ts';
import type { CommandResult } from '../task/verification.ts';
import type { ModelDialect, WorkOrder } from '../task/work-order.ts';
import type { Budget } from './budget.ts';

/** Where the model is: behind the door's Unix socket, in a dialect. The key is put on behind the door. */
export interface ModelAccess {
  readonly doorSocket: string;
  readonly dialect: ModelDialect;
  readonly name: string;
}

export interface AgentContext {
  readonly sandbox: Sandbox;
  readonly work: WorkOrder;
  readonly model: ModelAccess;
  /** One per task: plan, work and all rounds draw on the same. */
  readonly budget: Budget;
  /** Events in order; must not throw. */
  readonly emit: (event: HostEvent) => void;
  readonly signal: AbortSignal;
}

/** Results of the last verification that the agent should make green; `red` on the base already, or not. */
export interface Feedback {
  readonly result: CommandResult;
  readonly redOnBase: boolean;
}

/**
 * The only thing that knows which agent runs; one instance per attempt, holding its conversation.
 *
 * Both methods throw `AgentEnded` when the agent comes to no good end, and the signal's reason when it is aborted.
 */
export interface Harness {
  /** A read-only turn: what the agent means to do. The tree is unchanged afterwards. Emits `plan`. */
  plan(context: AgentContext): Promise<{ readonly text: string }>;
  /** Works until the agent says it is done. Called again with what failed; the conversation goes on. */
  work(context: AgentContext, feedback: readonly Feedback[]): Promise<{ readonly summary: AgentSummary }>;
}
