import type { CommandResult } from '../../task/verification.ts';
import type { Feedback } from '../harness.ts';
import { judge } from './judge.ts';
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

/**
 * Whether the agent should get another round: something it broke is red, or the tests that the base already failed still
 * are. Where a run broke off (a dead sandbox), another round would not help.
 */
export function wantsAnotherRound(baseline: readonly CommandResult[], results: readonly CommandResult[]): boolean {
  const { kind } = judge(baseline, results);
  const ran = results.every((result) => result.end === 'exited' || result.end === 'timed_out');
  return kind === 'failed' || (kind === 'unjudged' && ran && results.some((result) => !isGreen(result)));
}
