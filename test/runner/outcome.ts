/** Counts of one run, and what is to be said about it at the end. */
export interface Outcome {
  passed: number;
  readonly failed: { readonly name: string; readonly text: string }[];
  readonly skipped: { readonly name: string; readonly why: string }[];
}

export const emptyOutcome = (): Outcome => ({ passed: 0, failed: [], skipped: [] });

const indent = (text: string): string => text.trimEnd().replaceAll(/^/gm, '    ');

/**
 * What is printed last: failures in full, skipped tests with their reasons, the line of counts alone on its line.
 * Where `skipsFail` (CI), a test that was skipped is counted as failed: the real part it stands for was not tried.
 */
export function summary(outcome: Outcome, skipsFail: boolean): { text: string; ok: boolean } {
  const lines: string[] = [];
  for (const { name, text } of outcome.failed) lines.push(`FAILED   ${name}`, indent(text), '');
  for (const { name, why } of outcome.skipped)
    lines.push(`skipped  ${name}: ${why}${skipsFail ? ' (counts as failed: CI=true)' : ''}`);
  const failed = outcome.failed.length + (skipsFail ? outcome.skipped.length : 0);
  const skipped = skipsFail ? 0 : outcome.skipped.length;
  lines.push(`${outcome.passed} passed, ${failed} failed, ${skipped} skipped`);
  return { text: lines.join('\n'), ok: failed === 0 && outcome.passed > 0 };
}
