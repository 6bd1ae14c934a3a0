import type { AgentContext, Harness } from '../agent/harness.ts';
import { feedbackFor, wantsAnotherRound } from '../agent/verify/feedback.ts';
import { runCommands } from '../agent/verify/run-commands.ts';
import type { DoorState } from '../door/door.ts';
import type { AgentSummary } from '../task/protocol.ts';
import type { CommandResult } from '../task/verification.ts';
import type { Room } from './room.ts';
import type { Run } from './run.ts';

export interface Agent {
  readonly harness: Harness;
  readonly context: AgentContext;
  /** The door's state in which the agent may speak to its model. */
  readonly open: DoorState;
}

/**
 * The agent works, the runner verifies, and what fails goes back to the agent: at most `verifyRounds` times. What the
 * last round leaves is what the clean room judges.
 */
export async function work(run: Run, room: Room, agent: Agent, baseline: readonly CommandResult[]): Promise<AgentSummary> {
  const { report, work: order } = run;
  let failed: readonly CommandResult[] = [];
  for (let round = 1; ; round++) {
    await room.door.set(agent.open);
    const { summary } = await report.step('work', () => agent.harness.work(agent.context, feedbackFor(baseline, failed)), round);
    await room.door.set({ phase: 'verify' });
    const results = await report.step('verify', () => runCommands(room.context, order.commands, 'verify'), round);
    if (!wantsAnotherRound(baseline, results) || round > order.limits.verifyRounds) return summary;
    failed = results;
  }
}
