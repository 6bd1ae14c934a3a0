import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CAPABILITIES, type Capability } from '../../src/policy/capabilities.ts';
import { capabilitiesOf, type Ground } from '../../src/sandbox/capabilities.ts';
import { type Runtime, runtimeFor } from '../../src/sandbox/runtimes.ts';
import { RUNTIME_ARGS } from '../../src/setup/daemon-json.mjs';

const runsc: Runtime = { name: 'runsc', version: '1', path: '/usr/bin/runsc', arguments: RUNTIME_ARGS };
const runc: Runtime = { name: 'runc', version: '1', path: '/usr/bin/runc', arguments: [] };

const ground = (change: Partial<Ground> & { diskProblem?: string } = {}): Ground => ({
  runtime: runsc,
  engine: { engine: '1', runtimes: [runsc, runc], limitsMemory: true },
  workIn: 'memory',
  seesMemory: true,
  disks: { directory: null, problem: async () => change.diskProblem ?? null, make: () => assert.fail('nothing is made') },
  ...change,
});

const refused = (wanted: Capability, next: RegExp) => (thrown: unknown) => {
  assert.ok(thrown instanceof Error && 'code' in thrown && 'next' in thrown);
  assert.equal(thrown.code, 'sandbox_unavailable');
  assert.ok(thrown.message.includes(wanted), thrown.message);
  assert.match(String(thrown.next), next);
  return true;
};

test('runsc as set-up registers it gives everything', async () => {
  assert.deepEqual(await capabilitiesOf(ground(), CAPABILITIES), CAPABILITIES);
});

test('runc gives what does not need a kernel of its own, and refuses the rest by name', async () => {
  const given = ['no_network', 'enforced_memory', 'enforced_disk'] as const;
  assert.deepEqual(await capabilitiesOf(ground({ runtime: runc }), given), given);
  for (const wanted of ['own_kernel', 'kernel_witness'] as const) {
    await assert.rejects(capabilitiesOf(ground({ runtime: runc }), [wanted]), refused(wanted, /runsc/));
  }
});

for (const [missing, what, change, next] of [
  ['kernel_witness', 'the log is not asked for', { runtime: { ...runsc, arguments: ['--network=none'] } }, /npm run setup/],
  ['no_network', 'the runtime would have one', { runtime: { ...runsc, arguments: RUNTIME_ARGS.slice(1) } }, /npm run setup/],
  ['enforced_memory', 'the engine cannot cap it', { engine: { ...ground().engine, limitsMemory: false } }, /control group/],
  ['enforced_memory', 'its counters are not seen', { seesMemory: false }, /beside the engine/],
  ['enforced_disk', 'no disk can be made', { workIn: 'disk', diskProblem: 'no loop devices' }, /work_in/],
] as const) {
  test(`${missing} is not given where ${what}, and only who asks for it is refused`, async () => {
    const others = CAPABILITIES.filter((one) => one !== missing);
    assert.deepEqual(await capabilitiesOf(ground(change), others), others);
    await assert.rejects(capabilitiesOf(ground(change), CAPABILITIES), refused(missing, next));
  });
}

test('a runtime that is not there, or not wired, is refused with what to do, never replaced by another', () => {
  assert.equal(runtimeFor([runsc, runc], 'runsc'), runsc);
  assert.throws(() => runtimeFor([runc], 'runsc'), { code: 'sandbox_unavailable', next: /npm run setup/ });
  assert.throws(() => runtimeFor([runsc], 'runc'), { code: 'sandbox_unavailable' });
  assert.throws(() => runtimeFor([runsc, runc], 'kata'), { code: 'sandbox_unavailable', message: /kata.*cannot start it/ });
});
