import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { eventsOf, run, scenario, startWay } from './way.ts';

const FILES = {
  'AGENTS.md': '## Commands\n\n- `sh test.sh` - run the tests\n',
  '.github/coatcheck.yml': 'egress: [colours]\n',
  'test.sh': 'grep -q blue value.txt\n',
  'value.txt': 'red\n',
};

test('an attempt with its work tree on disk and a service that its policy opens', async (t) => {
  const service = createServer((client) => client.end('blue\n')).listen(0, '127.0.0.1');
  await once(service, 'listening');
  t.after(() => service.close());
  const address = service.address();
  assert.ok(typeof address === 'object' && address !== null);
  const { port } = address;
  const grant = { id: 'colours', how: 'service', host: '127.0.0.1', port, listen: 5432, phases: ['agent'] };
  const asked = scenario('case-disk', {
    rounds: [[{ calls: [run('cat < /dev/tcp/127.0.0.1/5432 > value.txt')] }, { text: 'Ask the service' }]],
  });
  const way = await startWay({
    script: asked,
    policy: {
      limits: { work_in: 'disk', work_disk: '96 MiB' },
      egress: {
        presets: [],
        grants: [{ ...grant, privateAddresses: ['127.0.0.1/32'], expires: new Date(Date.now() + 3_600_000).toISOString() }],
      },
    },
  });
  t.after(() => way.close());
  const { outcome } = await way.begin({ title: 'case-disk', files: FILES });
  const { end, events } = await outcome;
  assert.equal(end.task.state, 'ready', end.task.message);

  const created = eventsOf(events, 'sandbox.created');
  assert.ok(created.every(({ limits, capabilities }) => limits.workIn === 'disk' && capabilities.includes('enforced_disk')));
  const looked = eventsOf(events, 'cleanup').flatMap(({ proof }) => proof.looked);
  const disks = looked.filter(({ kind }) => kind === 'work disk');
  assert.deepEqual([disks.length, disks.every(({ gone }) => gone)], [created.length, true]);
  const decisions = eventsOf(events, 'door.decision').filter(({ route }) => route === 'service');
  assert.deepEqual(
    decisions.map(({ rule, verdict, phase }) => [rule, verdict, phase]),
    [['colours', 'allowed', 'agent']],
  );
});
