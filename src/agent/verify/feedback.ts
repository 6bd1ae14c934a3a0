import type { CommandResult } from '../../task/verification.ts';
import type { Feedback } from '../harness.ts';
import { isGreen } from './run-commands.ts';

/** What the agent should make green next: everything red, marked where it was red on the base already. */
export function feedbackFor(baseline: readonly CommandResult[], results: readonly CommandResult[]): Feedback[] {
  const redBefore = (result: CommandResult) =>
    baseline.some((b) => b.command === result.command && b.kind === result.kind && !isGreen(b));
  return results
    .filter((result) => !isGreen(result))
    .map((result) => ({ result, redOnBase: redBefore(result) }))
    .sort((a, b) => Number(a.redOnBase) - Number(b.redOnBase));
}
