import type { CommandResult, Verdict } from '../../task/verification.ts';
import { isGreen } from './run-commands.ts';

/** A command is the same on both sides by kind and text. */
const key = (result: CommandResult): string => `${result.kind}\0${result.command}`;
const reached = (result: CommandResult): boolean => result.end === 'exited' || result.end === 'timed_out';

/** Commands that fail on the base already (install ones aside: those end the attempt). */
export const redOnBase = (baseline: readonly CommandResult[]): string[] =>
  baseline.filter((result) => !isGreen(result)).map((result) => result.command);

/**
 * What the results on a change say, measured against the same commands on the base.
 *
 * A command that was red on the base already is not held against the change; one that hangs counts as red. That alone
 * proves nothing, though: where tests are declared and none of them passes, or nothing passes at all, the change is unjudged.
 */
export function judge(baseline: readonly CommandResult[], results: readonly CommandResult[]): Verdict {
  const missing = baseline.filter((before) => !results.some((after) => key(after) === key(before)));
  const broken = [...baseline, ...results].find((result) => !reached(result));
  const redBefore = new Set(baseline.filter((result) => !isGreen(result)).map(key));
  const red = results.filter((result) => !isGreen(result));
  const held = red.filter((result) => reached(result) && !redBefore.has(key(result)));

  if (held.length > 0) return { kind: 'failed', commands: unique(held) };
  if (broken) return { kind: 'unjudged', why: `\`${broken.command}\` could not be run to its end (${broken.end}).` };
  if (missing[0]) return { kind: 'unjudged', why: `\`${missing[0].command}\` did not run on the change.` };
  const verifying = results.filter((result) => result.kind !== 'install');
  if (verifying.length === 0) return { kind: 'nothing_to_verify' };
  const tests = verifying.filter((result) => result.kind === 'test');
  const decisive = tests.length > 0 ? tests : verifying;
  if (decisive.some(isGreen)) return { kind: 'passed' };
  const which = tests.length > 0 ? 'Every test command' : 'Every declared command';
  return { kind: 'unjudged', why: `${which} fails on the change, as it did on the base.` };
}

/** The three runs that a verdict on the exact tree rests on. */
export interface Evidence {
  readonly baseline: readonly CommandResult[];
  readonly cleanRoom: readonly CommandResult[];
  /** The same tree with the base's yardstick put back; null when the change edits nothing of it, so that it would be the same tree. */
  readonly yardstick: readonly CommandResult[] | null;
}

/** The verdict on the exact tree: it must pass by its own yardstick and by the base's. */
export function combine(evidence: Evidence): Verdict {
  const own = judge(evidence.baseline, evidence.cleanRoom);
  if (own.kind !== 'passed' || evidence.yardstick === null) return own;
  // The change's own results are the measure here: what passes by its own yardstick has to pass by the base's, also
  // where it was red on the base.
  const based = judge(evidence.cleanRoom, evidence.yardstick);
  return based.kind === 'failed' ? { kind: 'own_yardstick_only', commands: based.commands } : based;
}

const unique = (results: readonly CommandResult[]): string[] => [...new Set(results.map((result) => result.command))];
