import type { CommandResult, Verdict, Verification, VerificationPhase } from '../task/verification.ts';
import type { ControlEvent, HostEvent } from './events.ts';
import { codeBlock, codeCell, duration, folded } from './markdown.ts';

type DoorDecision = Extract<HostEvent, { type: 'door.decision' }>;
type ModelCall = Extract<ControlEvent, { type: 'model.call' }>;

const PHASES: Readonly<Record<VerificationPhase, string>> = {
  baseline: 'base',
  verify: 'change',
  clean_room: 'clean room',
  yardstick: "base's own tests",
};

/** What the runner found, as a table; one row per command, one column per phase in which anything ran. */
export function verificationTable(verification: Verification): string {
  if (verification.results.length === 0) return 'No command was declared that could verify this change.';
  const phases = Object.keys(PHASES)
    .filter(isPhase)
    .filter((phase) => verification.results.some((r) => r.phase === phase));
  const commands = [...new Set(verification.results.map((result) => result.command))];
  const rows = commands.map((command) => {
    const cells = phases.map((phase) =>
      outcome(verification.results.findLast((r) => r.command === command && r.phase === phase)),
    );
    const red = verification.redOnBase.includes(command) ? ' (failed on the base)' : '';
    return `| ${codeCell(command)}${red} | ${cells.join(' | ')} |`;
  });
  const head = `| command | ${phases.map((phase) => PHASES[phase]).join(' | ')} |\n|---|${'---|'.repeat(phases.length)}`;
  return [head, ...rows].join('\n') + yardstickNote(verification.yardstickEdits);
}

const isPhase = (name: string): name is VerificationPhase => name in PHASES;

function outcome(result: CommandResult | undefined): string {
  if (result === undefined) return '–';
  if (result.end !== 'exited') return `✗ ${result.end.replaceAll('_', ' ')}, ${duration(result.ms)}`;
  return result.exitCode === 0 ? `✓ ${duration(result.ms)}` : `✗ exit ${result.exitCode ?? '?'}, ${duration(result.ms)}`;
}

function yardstickNote(edits: readonly string[]): string {
  if (edits.length === 0) return '';
  const shown = edits.slice(0, 50).map((path) => `- ${codeCell(path)}`);
  const more = edits.length > 50 ? [`- and ${edits.length - 50} more`] : [];
  return `\n\nThe change edits tests or command definitions of the base:\n${[...shown, ...more].join('\n')}`;
}

/** The verdict as one sentence. */
export function verdictLine(verdict: Verdict): string {
  switch (verdict.kind) {
    case 'passed':
      return "Every declared command passed, with the base's own tests too.";
    case 'failed':
      return `These commands fail on the change and did not fail on the base: ${verdict.commands.map((c) => codeCell(c)).join(', ')}.`;
    case 'nothing_to_verify':
      return 'The repository declares no command that could verify the change.';
    case 'own_yardstick_only':
      return `The change passes only with its own edits to tests or command definitions: ${verdict.commands.map((c) => codeCell(c)).join(', ')}.`;
    case 'unjudged':
      return `The change could not be judged: ${codeCell(verdict.why, 500)}.`;
  }
}

/** What passed the door and what did not, by host; the whole ledger is in the record. */
export function egressTable(decisions: readonly DoorDecision[]): string {
  if (decisions.length === 0) return 'Nothing went through the door.';
  const rows = new Map<string, { first: DoorDecision; times: number; up: number; down: number }>();
  for (const decision of decisions) {
    const { route, host, port, verdict, rule } = decision;
    const key = JSON.stringify([verdict, route, host, port, rule]);
    const row = rows.get(key) ?? { first: decision, times: 0, up: 0, down: 0 };
    rows.set(key, { ...row, times: row.times + 1, up: row.up + decision.bytesUp, down: row.down + decision.bytesDown });
  }
  // Refusals first: they are what a reader looks for.
  const order = ['refused', 'failed', 'allowed'];
  const sorted = [...rows.values()].sort((a, b) => order.indexOf(a.first.verdict) - order.indexOf(b.first.verdict));
  const lines = sorted.slice(0, 60).map(({ first, times, up, down }) => {
    const why = codeCell(first.verdict === 'allowed' ? (first.rule ?? first.route) : first.reason);
    return `| ${first.verdict} | ${codeCell(`${first.host}:${first.port}`)} | ${why} | ${times} | ${bytes(up)} | ${bytes(down)} |`;
  });
  const more = sorted.length > 60 ? [`\nand ${sorted.length - 60} more, in the record`] : [];
  return ['| verdict | where | rule or reason | times | up | down |\n|---|---|---|---|---|---|', ...lines, ...more].join('\n');
}

function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  return count < 1024 * 1024 ? `${(count / 1024).toFixed(1)} KiB` : `${(count / 1024 / 1024).toFixed(1)} MiB`;
}

/** The agent's plan, folded away, as the words of a model. */
export const planSection = (plan: string) => folded("The agent's plan", codeBlock(plan, 12_000));

export interface Cost {
  readonly calls: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedTokens: number;
  /** Null when the price of any call is not known. */
  readonly costUsd: number | null;
}

/** The sum of an attempt's model calls. */
export function costOf(calls: readonly ModelCall[]): Cost {
  const sum = (pick: (call: ModelCall) => number) => calls.reduce((total, call) => total + pick(call), 0);
  return {
    calls: calls.length,
    inputTokens: sum((call) => call.inputTokens),
    outputTokens: sum((call) => call.outputTokens),
    cachedTokens: sum((call) => call.cachedTokens),
    costUsd: calls.some((call) => call.costUsd === null) ? null : sum((call) => call.costUsd ?? 0),
  };
}

/** The cost as one line. */
export function costLine(cost: Cost): string {
  const price = cost.costUsd === null ? 'price not known' : `$${cost.costUsd.toFixed(4)}`;
  const cached = cost.cachedTokens > 0 ? ` (${cost.cachedTokens} of them cached)` : '';
  return `${cost.calls} model calls, ${cost.inputTokens} tokens in${cached}, ${cost.outputTokens} out, ${price}.`;
}
