import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openCleanup } from '../../src/host/cleanup.ts';

function scene() {
  const said: string[] = [];
  const trouble: string[] = [];
  const cleanup = openCleanup((text) => trouble.push(text));
  const add = (id: string, release: () => Promise<void> = async () => {}, gone: () => Promise<boolean> = async () => true) =>
    cleanup.add({
      kind: 'thing',
      id,
      release: async () => {
        said.push(id);
        await release();
      },
      gone,
    });
  return { said, trouble, cleanup, add };
}

const no = async () => {
  throw new Error('it resists');
};

test('what was acquired last is released first', async () => {
  const { said, cleanup, add } = scene();
  for (const id of ['a', 'b', 'c']) add(id);
  const { looked } = await cleanup.run();
  assert.deepEqual(said, ['c', 'b', 'a']);
  assert.deepEqual(looked, [
    { kind: 'thing', id: 'c', gone: true },
    { kind: 'thing', id: 'b', gone: true },
    { kind: 'thing', id: 'a', gone: true },
  ]);
});

test('one release that fails keeps none of the others from theirs, and is said', async () => {
  const { said, trouble, cleanup, add } = scene();
  add('a');
  add('b', no, async () => false);
  add('c');
  const { looked } = await cleanup.run();
  assert.deepEqual(said, ['c', 'b', 'a']);
  assert.deepEqual(
    looked.map(({ id, gone }) => `${id} ${gone}`),
    ['c true', 'b false', 'a true'],
  );
  assert.match(trouble.join(), /thing b: it resists/);
});

test('the proof is by looking: a failed release may be gone, and what cannot be looked for counts as there', async () => {
  const { cleanup, add } = scene();
  add('released badly, and gone', no, async () => true);
  add('not to be looked for', async () => {}, no as () => Promise<never>);
  const { looked } = await cleanup.run();
  assert.deepEqual(
    looked.map(({ gone }) => gone),
    [false, true],
  );
});

test('a part may end before the run; the rest stays until its own end, and nothing is released twice', async () => {
  const { said, cleanup, add } = scene();
  add('a');
  const mark = cleanup.mark();
  add('b');
  add('c');
  await cleanup.run(mark);
  assert.deepEqual(said, ['c', 'b']);
  const { looked } = await cleanup.run();
  assert.deepEqual(said, ['c', 'b', 'a']);
  assert.equal(looked.length, 3, 'the proof is of the whole run');
});
