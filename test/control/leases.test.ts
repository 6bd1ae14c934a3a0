import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leases } from '../../src/control/leases.ts';
import { REF } from './task.fixture.ts';

const LEASE = 1000;
const OTHER = { ...REF, attempt: 2 };

function held() {
  const clock = { now: 50_000 };
  return { clock, held: leases(LEASE, () => clock.now) };
}

test('a lease lasts as long as it says after the last word, and not longer', () => {
  const { clock, held: lease } = held();
  lease.renew(REF);
  clock.now += LEASE;
  assert.equal(lease.expired(REF), false);
  clock.now += 1;
  assert.equal(lease.expired(REF), true);
  lease.renew(REF);
  assert.equal(lease.expired(REF), false);
});

test('an attempt that nobody was heard of begins with a whole lease, as after a restart', () => {
  const { clock, held: lease } = held();
  assert.equal(lease.expired(REF), false);
  clock.now += LEASE;
  assert.equal(lease.expired(REF), false);
  clock.now += 1;
  assert.equal(lease.expired(REF), true);
});

test('attempts of one task have leases of their own', () => {
  const { clock, held: lease } = held();
  lease.renew(REF);
  clock.now += LEASE + 1;
  lease.renew(OTHER);
  assert.deepEqual([lease.expired(REF), lease.expired(OTHER)], [true, false]);
});

test('a lease that was dropped is forgotten', () => {
  const { clock, held: lease } = held();
  lease.renew(REF);
  clock.now += LEASE + 1;
  lease.drop(REF);
  assert.equal(lease.expired(REF), false, 'it would begin anew');
});

test('a jump of the wall clock ends no lease', (t) => {
  const lease = leases(LEASE);
  lease.renew(REF);
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 24 * 60 * 60_000 });
  assert.equal(lease.expired(REF), false);
});
