import assert from 'node:assert/strict';
import { test } from 'node:test';
import { takeIn } from '../../src/start/take-in.ts';

async function* numbered(count: number): AsyncGenerator<number> {
  for (let n = 1; n <= count; n++) yield n;
}

test('a delivery that cannot be kept is tried again, and none is passed over for it', async () => {
  const kept: number[] = [];
  const trouble: string[] = [];
  let failures = 2;
  const accept = async (n: number) => {
    if (n === 2 && failures-- > 0) throw new Error('the disk is full');
    kept.push(n);
  };
  const signal = new AbortController().signal;
  await takeIn(numbered(3), accept, { signal, trouble: (text) => trouble.push(text), pauseMs: 1 });
  assert.deepEqual(kept, [1, 2, 3]);
  assert.equal(trouble.length, 2);
  assert.match(trouble[0] ?? '', /the disk is full/);
});

test('the signal ends it, in a pause too', async () => {
  const ending = new AbortController();
  const accept = async () => {
    throw new Error('no');
  };
  const trouble = () => setImmediate(() => ending.abort());
  await takeIn(numbered(3), accept, { signal: ending.signal, trouble, pauseMs: 60_000 });
  assert.ok(ending.signal.aborted);
});
