import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serialised } from '../../src/control/serialised.ts';

test('work on one key runs one after the other, in the order asked for', async () => {
  const inTurn = serialised();
  const first = Promise.withResolvers<void>();
  const said: string[] = [];
  const all = [
    inTurn('a', async () => {
      said.push('one begins');
      await first.promise;
      said.push('one ends');
    }),
    inTurn('a', async () => void said.push('two')),
    inTurn('a', async () => void said.push('three')),
  ];
  await inTurn('b', async () => void said.push('another key does not wait'));
  assert.deepEqual(said, ['one begins', 'another key does not wait']);
  first.resolve();
  await Promise.all(all);
  assert.deepEqual(said.slice(2), ['one ends', 'two', 'three']);
});

test('work that fails fails for who asked, and does not hold up the next', async () => {
  const inTurn = serialised();
  const failing = inTurn('a', async () => {
    throw new Error('no');
  });
  const next = inTurn('a', async () => 'yes');
  await assert.rejects(failing, /no/);
  assert.equal(await next, 'yes');
});
