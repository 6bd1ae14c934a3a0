/**
 * The frame of the escape tests. A row of the threat catalogue is covered by cases that attempt it on the real part.
 *
 * - `NAME.cases.ts` exports `CASES`, a table of `EscapeCase`; importing it starts nothing.
 * - a `.test.ts` calls `attempt(CASES, open)`: one test per case, named `row 9: …`, on one target for all. Tables of one
 *   kind of target share a test file, and with it the target.
 * - `coverage.test.ts` imports every table, and fails when a row in scope has no case or the cases are too few.
 *
 * A case holds when the attempt failed as expected *and* its control worked. The control shows in the same run that the
 * attempt could have succeeded: the same attempt on an unguarded twin, against the sink directly, or its permitted form.
 * There is no way to skip: what cannot be tried here has failed.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

export interface Observation {
  readonly held: boolean;
  /** What was observed, for a person: an exit code, an errno, a status, counts. */
  readonly seen: string;
  readonly control: { readonly worked: boolean; readonly how: string };
}

export interface EscapeCase<Target> {
  /** The row of the catalogue. */
  readonly row: number;
  /** What is special about this one among the row's cases. */
  readonly name: string;
  /** What the attacker does. */
  readonly attempt: string;
  /** What has to be observed. */
  readonly expected: string;
  /** Stands at the end of its table and never runs beside others, because it disturbs them. */
  readonly alone?: true;
  run(target: Target): Promise<Observation>;
}

/** Collects what is to be released at the end of a file, last in, first out. */
export interface Teardown {
  after(release: () => void | Promise<void>): void;
}

/** One case and its bound. */
const CASE_MS = 60_000;

/**
 * Registers a test for each case, on one target that is opened before the first and released after the last.
 * Cases of one table share it, so none of them may destroy it. `atOnce`: so many run side by side, in the table's order.
 */
export function attempt<Target>(
  cases: readonly EscapeCase<Target>[],
  open: (t: Teardown) => Promise<Target> | Target,
  { atOnce = 1 }: { readonly atOnce?: number } = {},
): void {
  const releases: (() => void | Promise<void>)[] = [];
  let target: Promise<Target>;
  before(async () => {
    target = Promise.resolve(open({ after: (release) => void releases.push(release) }));
    await target;
  });
  after(async () => {
    for (let last = releases.pop(); last !== undefined; last = releases.pop()) await last();
  });
  const begin = sideBySide(cases, async (one) => one.run(await target), atOnce);
  for (const one of cases) {
    test(`row ${one.row}: ${one.name}`, { timeout: CASE_MS }, async () => judge(one, await begin(one)));
  }
  test('rows and cases', (t) => t.diagnostic(tally(cases)));
}

/** Runs items when they are asked for, and up to `atOnce` of the next ones beside them; each once. */
function sideBySide<Item extends { readonly alone?: true }, T>(
  items: readonly Item[],
  run: (item: Item) => Promise<T>,
  atOnce: number,
) {
  const begun = new Map<Item, Promise<T>>();
  const begin = (item: Item): Promise<T> => {
    const running = begun.get(item) ?? run(item);
    if (!begun.has(item)) {
      begun.set(item, running);
      running.catch(() => {}).finally(more);
    }
    return running;
  };
  let ended = 0;
  const more = (): void => {
    ended += 1;
    fill();
  };
  const fill = (): void => {
    if (atOnce === 1) return;
    for (const item of items) if (begun.size - ended < atOnce && item.alone === undefined) begin(item);
  };
  return (item: Item): Promise<T> => {
    const running = begin(item);
    fill();
    return running;
  };
}

/** Fails with all that a reader needs: what was attempted, what was expected, what was seen. */
export function judge(one: Omit<EscapeCase<never>, 'run'>, { held, seen, control }: Observation): void {
  const story = `attempt: ${one.attempt}\nexpected: ${one.expected}\nseen: ${seen}\ncontrol: ${control.how}`;
  assert.ok(control.worked, `the control did not work, so the attempt proves nothing\n${story}`);
  assert.ok(held, `the attempt was not stopped\n${story}`);
}

/** `12 cases, rows 1 (3), 2 (9)` */
export function tally(cases: readonly { readonly row: number }[]): string {
  const counts = new Map<number, number>();
  for (const { row } of cases) counts.set(row, (counts.get(row) ?? 0) + 1);
  const rows = [...counts].sort(([a], [b]) => a - b).map(([row, count]) => `${row} (${count})`);
  return `${cases.length} cases, rows ${rows.join(', ')}`;
}
