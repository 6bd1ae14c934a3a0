import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DoorDecision } from '../../src/door/door.ts';
import { Ledger } from '../../src/door/ledger.ts';
import { OverloadRows, Quota, Rate } from '../../src/door/limits.ts';
import { Refusal } from '../../src/door/refusal.ts';
import { Gatekeeper } from '../../src/door/state.ts';

test('what stands open is cut when its rule expires, and not before', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000 });
  const gatekeeper = new Gatekeeper();
  const cuts: string[] = [];
  const live = (until: number | null, name: string) =>
    gatekeeper.watch({ until, stillAllowed: () => true, cut: (reason) => cuts.push(`${name}: ${reason}`) });
  live(5_000, 'short');
  // Longer than a timer of Node can wait.
  live(1_000 + 3 * 2 ** 31, 'long');
  live(null, 'endless');
  const forget = live(4_000, 'ended');
  forget();
  live(500, 'late');
  assert.deepEqual(cuts.splice(0), ['late: its rule expired']);
  t.mock.timers.tick(3_999);
  assert.deepEqual(cuts, []);
  t.mock.timers.tick(1);
  assert.deepEqual(cuts.splice(0), ['short: its rule expired']);
  for (let waited = 0; waited < 3; waited++) t.mock.timers.tick(2 ** 31);
  assert.deepEqual(cuts, ['long: its rule expired']);
});

test('a new state cuts what it does not allow', () => {
  const gatekeeper = new Gatekeeper();
  const cuts: string[] = [];
  gatekeeper.watch({ until: null, stillAllowed: ({ phase }) => phase === 'setup', cut: (reason) => cuts.push(reason) });
  gatekeeper.set({ phase: 'setup' });
  assert.deepEqual(cuts, []);
  gatekeeper.set({ phase: 'verify' });
  assert.deepEqual(cuts, ["the door's phase became verify"]);
});

test('a rate lets ten seconds’ worth through at once, and then what it says', () => {
  const rate = new Rate(2, 0);
  assert.equal(Array.from({ length: 30 }, () => rate.take(0)).filter(Boolean).length, 20);
  assert.deepEqual([rate.take(400), rate.take(500), rate.take(501), rate.take(1_000)], [false, true, false, true]);
  assert.equal(Array.from({ length: 30 }, () => rate.take(1_000_000)).filter(Boolean).length, 20, 'no more is saved up');
});

test('bytes are counted each way, and the first beyond the limit is told', () => {
  const quota = new Quota({ bytesUp: 10, bytesDown: 5 });
  assert.deepEqual([quota.up(10), quota.problem], [true, null]);
  assert.equal(quota.down(6), false);
  assert.match(quota.problem ?? '', /received/);
  assert.throws(() => quota.check(), { status: 503 });
});

test('a flood of refusals becomes a row at once and one a second, and none is left out', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const rows: DoorDecision[] = [];
  const overload = new OverloadRows(new Ledger((row) => rows.push(row)), new Gatekeeper());
  for (let each = 0; each < 1000; each++) overload.add(new Refusal(503, 'too fast'));
  assert.equal(rows.length, 1);
  t.mock.timers.tick(1_000);
  assert.match(rows[1]?.reason ?? '', /999 refused/);
  overload.add(new Refusal(503, 'too fast'));
  overload.add(new Refusal(503, 'too fast'));
  overload.flush();
  overload.flush();
  assert.deepEqual(
    rows.map(({ n }) => n),
    [0, 1, 2, 3],
  );
});
