import assert from 'node:assert/strict';
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { z } from 'zod';
import { loadPresets } from '../../src/policy/presets.ts';
import { ask, rig } from './door-rig.ts';

const REGISTRY = 'registry.npmjs.org';
const away: string | false = await lookup(REGISTRY).then(
  () => false as const,
  () => `${REGISTRY} cannot be resolved from here`,
);
/** The system's bundle, as a deployment gives it: a company's own authority is in there. */
const authorities = (): string =>
  readFileSync(process.env['NODE_EXTRA_CA_CERTS'] ?? '/etc/ssl/certs/ca-certificates.crt', 'utf8');

test('a real package is read through the door, and nothing is published', { skip: away }, async (t) => {
  const { door, row } = await rig(t, { rules: loadPresets(['npm']).get('npm') ?? [], authorities: authorities() });
  await door.set({ phase: 'setup' });
  const answer = await ask(door, `${REGISTRY}:443`, '/is-number', { headers: { accept: 'application/vnd.npm.install-v1+json' } });
  assert.equal(answer.status, 200);
  assert.equal(z.object({ name: z.string() }).parse(JSON.parse(answer.body)).name, 'is-number');
  const put = await ask(door, `${REGISTRY}:443`, '/is-number', { method: 'PUT', body: '{}' });
  assert.equal(put.status, 403);
  assert.deepEqual([(await row(1)).verdict, (await row(2)).verdict], ['allowed', 'refused']);
  await door.set({ phase: 'agent', model: null });
  assert.equal((await ask(door, `${REGISTRY}:443`, '/is-number')).status, 403, 'registries are open in set-up only');
});
