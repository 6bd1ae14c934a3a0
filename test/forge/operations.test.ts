import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HANDLERS } from './operations/all.ts';
import { grants, RULES } from './permissions.ts';
import { match } from './rest.ts';
import { OPERATIONS, WEBHOOKS } from './served.ts';
import { docsOf, faultOfPayload, operationIdOf } from './validation.ts';

test('every operation has a handler, a rule and a page of documentation, and nothing else has', () => {
  assert.deepEqual(Object.keys(HANDLERS).toSorted(), [...OPERATIONS].toSorted());
  assert.deepEqual(Object.keys(RULES).toSorted(), [...OPERATIONS].toSorted());
  for (const name of OPERATIONS) {
    assert.match(docsOf(name), /^https:\/\/docs\.github\.com\/(enterprise-server@[\d.]+\/)?rest\//);
    assert.match(operationIdOf(name), /^[a-z-]+\/[a-z-]+$/);
  }
});

test('writing operations never ask for a reading permission', () => {
  for (const name of OPERATIONS) {
    const rule = RULES[name];
    if (typeof rule === 'string') continue;
    assert.equal(rule.level === 'read', name.startsWith('GET '), name);
  }
});

test('a higher level grants the lower ones, and metadata is read by all', () => {
  assert.equal(grants({ issues: 'write' }, 'issues', 'read'), true);
  assert.equal(grants({ issues: 'read' }, 'issues', 'write'), false);
  assert.equal(grants({ issues: 'write' }, 'contents', 'read'), false);
  assert.equal(grants({}, 'metadata', 'read'), true);
  assert.equal(grants({}, 'metadata', 'write'), false);
});

test('paths lead to their operation, refs with slashes too', () => {
  assert.deepEqual(match('GET', '/repos/o/r/git/ref/heads/a/b'), {
    name: 'GET /repos/{owner}/{repo}/git/ref/{ref}',
    params: { owner: 'o', repo: 'r', ref: 'heads/a/b' },
  });
  assert.equal(match('GET', '/repos/o/r/branches/a%2Fb')?.params['branch'], 'a/b');
  assert.equal(match('GET', '/repos/o/r/issues/comments/5')?.name, 'GET /repos/{owner}/{repo}/issues/comments/{comment_id}');
  assert.equal(match('PUT', '/repos/o/r/pulls/5/merge'), null);
  assert.equal(match('GET', '/repos/o'), null);
});

test('every webhook is described, and a payload that is none does not fit', () => {
  for (const name of WEBHOOKS) assert.notEqual(faultOfPayload(name, null), null, name);
  assert.match(faultOfPayload('star.created', {}) ?? '', /not among/);
});
