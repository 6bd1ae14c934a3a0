import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openDeliveries } from '../../src/control/deliveries.ts';
import type { Follow } from '../../src/control/follow.ts';
import type { GitHub, Installation } from '../../src/github/github.ts';
import { OperatorConfig } from '../../src/policy/operator-config.ts';
import type { Delivery } from '../../src/store/deliveries.ts';
import { emptyStore, recorderOf, SHA } from './task.fixture.ts';

const operator = OperatorConfig.parse({
  installations: ['octo'],
  models: [{ name: 'm', dialect: 'openai-chat', base_url: 'http://127.0.0.1:1' }],
});
const settings = { ...operator.triggers, appId: 7, appSlug: 'coatcheck', botUserId: 70 };

/** A label on an issue of the repository of this id. */
const labelled = (guid: string, repository = 5): Delivery => ({
  guid,
  event: 'issues',
  payloadDigest: 'd'.repeat(64),
  payload: {
    action: 'labeled',
    label: { name: 'coatcheck' },
    issue: { number: 12, title: 'Wrong', body: null, state: 'open', user: { id: 3, login: 'ada' } },
    repository: {
      ...{ id: repository, name: `sample-${repository}`, full_name: `octo/sample-${repository}`, private: true, archived: false },
      ...{ owner: { id: 2, login: 'octo' }, default_branch: 'main' },
    },
    sender: { id: 3, login: 'ada', type: 'User' },
    installation: { id: 8 },
  },
});

async function scene(t: TestContext, part: Partial<Installation>) {
  const { store } = await emptyStore(t);
  const installation: Partial<Installation> = {
    permissionOf: async () => 'write',
    baseOf: async () => ({ ref: 'main', sha: SHA }),
    removeLabel: async () => true,
    ...part,
  };
  const github: Partial<GitHub> = { installation: () => installation as Installation };
  const follow: Follow = { touch: () => {}, last: async () => {}, react: async () => {}, close: async () => {} };
  const prepared: string[] = [];
  const waiters = new Map<string, () => void>();
  const trouble: string[] = [];
  const deliveries = openDeliveries({
    ...{ store, recorder: recorderOf(store), github: github as GitHub, follow, settings, operator },
    prepare: async ({ repository }) => {
      prepared.push(repository.name);
      waiters.get(repository.name)?.();
    },
    stop: async () => 'too_late',
    trouble: (text) => trouble.push(text),
  });
  const preparing = (name: string) => new Promise<void>((resolve) => void waiters.set(name, resolve));
  return { store, deliveries, prepared, preparing, trouble };
}

test('what hangs at one repository holds up no other, and what follows there waits its turn', async (t) => {
  const hanging = Promise.withResolvers<'write'>();
  const { deliveries, prepared, preparing } = await scene(t, {
    permissionOf: ({ id }) => (id === 5 ? hanging.promise : Promise.resolve('write')),
  });
  const sixth = preparing('sample-6');
  await deliveries.accept(labelled('a', 5));
  await deliveries.accept(labelled('b', 5));
  await deliveries.accept(labelled('c', 6));
  await sixth;
  assert.deepEqual(prepared, ['sample-6']);
  hanging.resolve('write');
  await deliveries.close();
  assert.equal(prepared[1], 'sample-5');
});

test('a delivery that is being worked on is not taken up a second time', async (t) => {
  const hanging = Promise.withResolvers<'write'>();
  let asked = 0;
  const { deliveries, preparing } = await scene(t, {
    permissionOf: () => {
      asked += 1;
      return hanging.promise;
    },
  });
  const fifth = preparing('sample-5');
  await deliveries.accept(labelled('a'));
  assert.equal(await deliveries.accept(labelled('a')), false);
  deliveries.wake();
  hanging.resolve('write');
  await fifth;
  await deliveries.close();
  assert.equal(asked, 1);
});

test('a refusal that GitHub does not take is said when its delivery is tried again, and then no more', async (t) => {
  const said: string[] = [];
  let failures = 1;
  let answered = Promise.withResolvers<void>();
  const { store, deliveries, trouble } = await scene(t, {
    permissionOf: async () => 'read',
    createComment: async (_repository, _issue, body) => {
      answered.resolve();
      if (failures-- > 0) throw new Error('502');
      said.push(body);
      return { id: 1, url: '' };
    },
  });
  await deliveries.accept(labelled('a'));
  await answered.promise;
  answered = Promise.withResolvers();
  while (trouble.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(await store.deliveries.outcome('a'), null, 'it stays');
  deliveries.wake();
  await answered.promise;
  await deliveries.accept(labelled('b'));
  while ((await store.deliveries.outcome('b')) === null) await new Promise((resolve) => setImmediate(resolve));
  await deliveries.close();
  assert.equal(said.length, 1);
  assert.match(said[0] ?? '', /“read” permission/);
});
