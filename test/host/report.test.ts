import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { CoatcheckError } from '../../src/errors.ts';
import type { AttemptClient } from '../../src/host/protocol-client.ts';
import { RunStopped, startReport } from '../../src/host/report.ts';
import type { EventsAnswer, EventsRequest } from '../../src/task/protocol.ts';

const LEASE_MS = 400;

/** A control plane that keeps what comes in order; `disturb` may throw in place of answering, after it was kept or before. */
function controlPlane(t: TestContext, disturb: (nth: number) => 'lose' | 'refuse' | 'fence' | EventsAnswer['stop'] = () => null) {
  const texts: string[] = [];
  let stored = -1;
  let calls = 0;
  const events = async ({ events: reported }: EventsRequest): Promise<EventsAnswer> => {
    const how = disturb(++calls);
    if (how === 'refuse') throw new CoatcheckError('control_unreachable', 'away', '');
    if (how === 'fence') throw new CoatcheckError('fenced', 'over', '');
    for (const { seq, ...event } of reported) {
      if (seq !== stored + 1) continue;
      stored = seq;
      texts.push(String(event['text'] ?? event['step']));
    }
    if (how === 'lose') throw new CoatcheckError('control_unreachable', 'the answer is lost', '');
    return { stored, stop: how };
  };
  const unused = () => Promise.reject(new Error('not called'));
  const client: AttemptClient = { events, grant: unused, change: unused, finish: unused };
  const report = startReport(client, LEASE_MS);
  t.after(() => report.close());
  return { report, texts, calls: () => calls };
}

const says = (text: string) => ({ type: 'output' as const, text });

test('events arrive once and in order though answers are lost and calls fail', async (t) => {
  const { report, texts } = controlPlane(t, (nth) => (nth % 3 === 1 ? 'lose' : nth % 3 === 2 ? 'refuse' : null));
  for (let n = 0; n < 5; n++) report.emit(says(String(n)));
  assert.equal(await report.close(), true);
  assert.deepEqual(texts, ['0', '1', '2', '3', '4']);
});

test('a step is reported with its end also when it fails, and its error goes on', async (t) => {
  const { report, texts } = controlPlane(t);
  await assert.rejects(
    report.step('plan', async () => {
      throw new Error('no plan');
    }),
    /no plan/,
  );
  assert.equal(await report.step('verify', async () => 7, 2), 7);
  assert.equal(await report.close(), true);
  assert.deepEqual(texts, ['plan', 'plan', 'verify', 'verify']);
});

test('a silent run is heard of within its lease', async (t) => {
  const heard = Promise.withResolvers<void>();
  const { calls } = controlPlane(t, (nth) => {
    if (nth === 3) heard.resolve();
    return null;
  });
  const startedAt = performance.now();
  await heard.promise;
  assert.ok(calls() >= 3);
  assert.ok(performance.now() - startedAt < LEASE_MS * 3, 'three heartbeats take less than three leases');
});

test('a wish to stop ends the run with its reason, and what is left to say is still said', async (t) => {
  const { report, texts } = controlPlane(t, () => ({ reason: 'stopped' }));
  report.emit(says('a'));
  if (!report.signal.aborted) await once(report.signal, 'abort');
  assert.ok(report.signal.reason instanceof RunStopped && report.signal.reason.reason === 'stopped');
  report.emit(says('b'));
  assert.equal(await report.close(), true);
  assert.deepEqual(texts, ['a', 'b']);
});

test('a fence ends the run, and nothing is sent any more', async (t) => {
  const { report, calls } = controlPlane(t, () => 'fence');
  report.emit(says('a'));
  if (!report.signal.aborted) await once(report.signal, 'abort');
  assert.ok(report.signal.reason instanceof RunStopped && report.signal.reason.reason === 'fenced');
  const before = calls();
  report.emit(says('b'));
  assert.equal(await report.close(), false);
  assert.equal(calls(), before);
});

test('a control plane that is not heard of for a whole lease has given the run up', async (t) => {
  const { report } = controlPlane(t, () => 'refuse');
  const startedAt = performance.now();
  report.emit(says('a'));
  await once(report.signal, 'abort');
  assert.ok(report.signal.reason instanceof RunStopped && report.signal.reason.reason === 'fenced');
  assert.ok(performance.now() - startedAt > LEASE_MS);
});
