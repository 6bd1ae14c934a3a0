import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf, newSecret, sameSecret } from '../../src/control/fencing.ts';

test('a secret has its prefix, 256 bits, and no second like it', () => {
  const secrets = Array.from({ length: 50 }, () => newSecret('cca_'));
  for (const secret of secrets) assert.match(secret, /^cca_[\w-]{43}$/);
  assert.equal(new Set(secrets).size, secrets.length);
});

test('what is kept of a secret tells nothing of it and is always the same', () => {
  const secret = newSecret('cca_');
  assert.equal(digestOf(secret), digestOf(secret));
  assert.match(digestOf(secret), /^[0-9a-f]{64}$/);
  assert.notEqual(digestOf(secret), digestOf(`${secret}x`));
});

test('secrets of any lengths are compared', () => {
  assert.ok(sameSecret('abc', 'abc'));
  assert.ok(!sameSecret('abc', 'abd'));
  assert.ok(!sameSecret('', 'abc'));
  assert.ok(!sameSecret('abc', 'abcd'));
});
