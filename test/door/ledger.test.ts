import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DoorDecision } from '../../src/door/door.ts';
import { Ledger } from '../../src/door/ledger.ts';
import { DoorReport } from '../../src/door/protocol.ts';

const asked = { phase: 'setup', route: 'egress', method: 'GET', host: 'a.test', port: 443, path: '/' } as const;
const outcome = { verdict: 'allowed', rule: 'r', reason: 'allowed', address: null, status: 200 } as const;

test('rows are numbered in the order of their ends, without a gap, and each is written once', () => {
  const rows: DoorDecision[] = [];
  const ledger = new Ledger((row) => rows.push(row));
  const [first, second, third] = [ledger.open(asked), ledger.open({ ...asked, path: '/2' }), ledger.open(asked)];
  second.end(outcome);
  second.end({ ...outcome, verdict: 'failed' });
  third.end(outcome);
  first.end(outcome);
  assert.deepEqual(
    rows.map((row) => [row.n, row.path, row.verdict]),
    [
      [0, '/2', 'allowed'],
      [1, '/', 'allowed'],
      [2, '/', 'allowed'],
    ],
  );
  assert.ok(second.written);
});

test('what a client wrote is cut, and every row fits the protocol', () => {
  const rows: DoorDecision[] = [];
  const row = new Ledger((each) => rows.push(each)).open({
    ...asked,
    method: 'M'.repeat(5000),
    path: `/${'\u0000"\\'.repeat(5000)}`,
  });
  row.end(outcome);
  assert.ok((rows[0]?.path.length ?? 0) < 2100);
  assert.equal(DoorReport.safeParse({ report: 'decision', decision: rows[0] }).success, true);
});
