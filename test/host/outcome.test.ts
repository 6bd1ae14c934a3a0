import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentEnded } from '../../src/agent/ended.ts';
import { CoatcheckError } from '../../src/errors.ts';
import { endOf } from '../../src/host/outcome.ts';
import { RunStopped } from '../../src/host/report.ts';
import { HostEndReason } from '../../src/task/protocol.ts';
import { RETRIED } from '../../src/task/task.ts';

const calm = AbortSignal.any([]);
const nobody = { wall: calm, report: calm, host: calm };
const failed = (code: string) => endOf(new CoatcheckError(code, 'What happened.', 'What to do.'), nobody);

test('a code that is a reason is the reason, with its text', () => {
  for (const reason of HostEndReason.options) assert.equal(failed(reason).reason, reason);
  assert.equal(failed('approval_needed').reason, 'internal', 'to hold a change is not for a host to say');
  assert.equal(failed('setup_failed').message, 'What happened. What to do.');
  assert.equal(endOf(new AgentEnded('model_refused', 'No.'), nobody).reason, 'model_refused');
});

test('other codes are given their reasons', () => {
  const reasons = {
    not_gvisor: 'sandbox_unavailable',
    sandbox_limits: 'policy',
    engine_unreachable: 'sandbox_died',
    control_unreachable: 'host_lost',
    repository_too_large: 'repository_unreadable',
    lay_in_failed: 'repository_unreadable',
    take_out_failed: 'change_unreadable',
    somebodys_new_code: 'internal',
  };
  for (const [code, reason] of Object.entries(reasons)) assert.equal(failed(code).reason, reason, code);
});

test('what was nobody’s fault is tried again', () => {
  for (const code of ['engine_unreachable', 'control_unreachable', 'door_died', 'out_of_memory', 'sandbox_died'])
    assert.ok(RETRIED.has(failed(code).reason), code);
  for (const code of ['setup_failed', 'model_refused', 'somebodys_new_code']) assert.ok(!RETRIED.has(failed(code).reason), code);
});

test('whatever else was thrown is internal, and its text is kept short', () => {
  assert.equal(endOf(new TypeError('x is not a function'), nobody).reason, 'internal');
  assert.equal(endOf('a string', nobody).message, 'a string');
  assert.ok(endOf(new Error('x'.repeat(100_000)), nobody).message.length <= 4000);
});

test('a wish to stop goes before the wall, the wall before the host’s end, and each before the error that it made', () => {
  const error = new CoatcheckError('sandbox_died', 'It died.', '');
  const on = AbortSignal.abort();
  const stopped = AbortSignal.abort(new RunStopped('token_limit'));
  assert.equal(endOf(error, { wall: on, report: stopped, host: on }).reason, 'token_limit');
  assert.equal(endOf(error, { wall: on, report: calm, host: on }).reason, 'wall_limit');
  assert.equal(endOf(error, { wall: calm, report: calm, host: on }).reason, 'host_lost');
  // Fenced: nobody will hear of it, so nothing is made of it.
  assert.equal(
    endOf(error, { wall: calm, report: AbortSignal.abort(new RunStopped('fenced')), host: calm }).reason,
    'sandbox_died',
  );
});
