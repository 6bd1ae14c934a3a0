import type { Finding, Row } from './bench.ts';

/** The rows in columns: medians of both sides, the ratio with its spread over the rounds, which way is good. */
export function table({ sides, rows }: Finding): string {
  const head = ['workload', 'measure', ...sides, `${sides[0]} / ${sides[1]}`, 'lowest–highest', 'better', 'rounds'];
  const lines = [head, ...rows.map(cells)];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  const print = (line: readonly string[]) =>
    line
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd();
  return [print(head), print(widths.map((width) => '-'.repeat(width))), ...lines.slice(1).map(print)].join('\n');
}

/** A ratio to about nothing, or to less than nothing, is none. */
const MEANINGLESS = 100;

const cells = (row: Row): string[] => [
  row.workload,
  `${row.measure} (${row.unit})`,
  short(row.one),
  short(row.other),
  ...(row.low > 0 && row.high < MEANINGLESS
    ? [row.ratio.toFixed(2), `${row.low.toFixed(2)}–${row.high.toFixed(2)}`]
    : ['–', '–']),
  row.better,
  String(row.rounds),
];

/** Three digits that say something. */
const short = (value: number): string => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));
