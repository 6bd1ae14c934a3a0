import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasWitness } from '../../../src/sandbox/witness/arguments.ts';
import { logDescriptor } from '../../../src/sandbox/witness/find-log.ts';
import { RUNTIME_ARGS } from '../../../src/setup/daemon-json.mjs';

test('what set-up registers is what is read here; without any one of its arguments there is no witness', () => {
  assert.equal(hasWitness(RUNTIME_ARGS), true);
  const own = RUNTIME_ARGS.filter((argument) => !/^--(network|host-uds)=/.test(argument));
  assert.ok(own.length >= 5);
  for (const left of own) assert.equal(hasWitness(RUNTIME_ARGS.filter((argument) => argument !== left)), false, left);
  assert.equal(hasWitness(RUNTIME_ARGS.map((argument) => argument.replace('=json', '=text'))), false);
});

test('the log’s descriptor is read from the command line of the sandbox’s process', () => {
  const argv = ['runsc-sandbox', ...RUNTIME_ARGS.map((argument) => argument.replace(/^--strace$/, '--strace=true'))];
  assert.equal(logDescriptor([...argv, '--debug-log-fd=4', 'boot', 'id'].join('\0')), 4);
  assert.equal(logDescriptor([...argv, 'boot', 'id'].join('\0')), null);
  assert.equal(logDescriptor(['runsc-sandbox', '--debug-log-fd=4', 'boot', 'id'].join('\0')), null);
});
