import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiFailure } from './failure.ts';
import { checkRequest, faultOfAnswer } from './validation.ts';

const none = new URLSearchParams();
const where = { owner: 'o', repo: 'r' };

function refusal(run: () => void): string {
  try {
    run();
  } catch (thrown) {
    assert.ok(thrown instanceof ApiFailure);
    assert.equal(thrown.status, 422);
    return thrown.message;
  }
  throw new Error('a refusal was expected');
}

test('a request that fits is let through', () => {
  checkRequest('POST /repos/{owner}/{repo}/check-runs', where, none, { name: 'a', head_sha: 'b', status: 'in_progress' });
  checkRequest('GET /repos/{owner}/{repo}/pulls', where, new URLSearchParams({ per_page: '5', state: 'all' }), undefined);
  checkRequest('POST /app/installations/{installation_id}/access_tokens', { installation_id: '5' }, none, undefined);
});

test('missing fields, other types, unknown values and a missing body are refused', () => {
  const comment = 'POST /repos/{owner}/{repo}/issues/{issue_number}/comments';
  const at = { ...where, issue_number: '1' };
  assert.match(
    refusal(() => checkRequest(comment, at, none, {})),
    /required property 'body'/,
  );
  assert.match(
    refusal(() => checkRequest(comment, at, none, { body: 5 })),
    /must be string/,
  );
  assert.match(
    refusal(() => checkRequest(comment, at, none, undefined)),
    /A body is required/,
  );
  assert.match(
    refusal(() => checkRequest(comment, { ...where, issue_number: 'one' }, none, { body: 'a' })),
    /must be integer/,
  );
  const reaction = 'POST /repos/{owner}/{repo}/issues/{issue_number}/reactions';
  assert.match(
    refusal(() => checkRequest(reaction, at, none, { content: 'thumbsup' })),
    /allowed values/,
  );
  assert.match(
    refusal(() => checkRequest('GET /repos/{owner}/{repo}/pulls', where, new URLSearchParams({ state: 'merged' }), undefined)),
    /allowed values/,
  );
  const check = 'POST /repos/{owner}/{repo}/check-runs';
  assert.match(
    refusal(() => checkRequest(check, where, none, { name: 'a', head_sha: 'b', output: { title: 't' } })),
    /required property 'summary'/,
  );
});

test('an answer that GitHub could not have given is found out', () => {
  assert.equal(faultOfAnswer('DELETE /installation/token', 204, undefined), null);
  assert.match(faultOfAnswer('DELETE /installation/token', 200, {}) ?? '', /status 200 is not among 204/);
  assert.match(faultOfAnswer('GET /users/{username}', 200, { login: 'a' }) ?? '', /must have required property/);
});
