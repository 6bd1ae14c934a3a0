import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { git, mustGit, remoteOf } from '../contract/git-client.ts';
import { refused } from '../contract/refusal.ts';
import { secondaryLimit } from './forge.ts';
import { sample } from './sample.ts';

const COMMENTS = 'POST /repos/\\{owner\\}/\\{repo\\}/issues/\\{issue_number\\}/comments';

test('answers as told, as often as told, and then as usual', async (t) => {
  const { forge, where, mint } = await sample(t);
  const { octokit } = await mint();
  await forge.misbehave({ operation: '^GET /repos/\\{owner\\}/\\{repo\\}$', times: 2, action: secondaryLimit(7) });
  for (const _ of [1, 2]) {
    const thrown = await octokit.repos.get(where).catch((caught: unknown) => caught);
    assert.equal(Reflect.get(Object(thrown), 'status'), 403);
    assert.equal(Reflect.get(Object(Reflect.get(Object(thrown), 'response')), 'headers')['retry-after'], '7');
  }
  assert.equal((await octokit.repos.get(where)).status, 200);
  assert.equal((await forge.state()).misbehaviour[0]?.hits, 2);
});

test('drops a connection before or after the deed', async (t) => {
  const { forge, where, mint } = await sample(t);
  const { octokit } = await mint();
  const { number } = await forge.createIssue({ repository: 'octo/sample', title: 'Bug', as: 'ada' });
  const comment = (body: string) => octokit.issues.createComment({ ...where, issue_number: number, body });
  await forge.misbehave({ operation: COMMENTS, action: { do: 'drop_before' } });
  await assert.rejects(comment('never'));
  await forge.misbehave({ operation: COMMENTS, action: { do: 'drop_after' } });
  await assert.rejects(comment('applied'));
  assert.equal((await comment('third')).status, 201);
  const { issues, requests } = await forge.state();
  assert.deepEqual(
    issues[0]?.comments.map(({ body }) => body),
    ['applied', 'third'],
  );
  const statuses = requests.filter(({ operation }) => operation?.endsWith('/comments')).map(({ status }) => status);
  assert.deepEqual(statuses, [0, 0, 201]);
});

test('loses the answer to a push that went through', async (t) => {
  const { forge, target, mint } = await sample(t);
  const { token } = await mint();
  const folder = await mkdtemp(path.join(tmpdir(), 'forge-test-'));
  t.after(() => rm(folder, { recursive: true }));
  await mustGit(folder, token, ['clone', '--quiet', '--', remoteOf(target), '.']);
  await writeFile(path.join(folder, 'b.txt'), 'b');
  await mustGit(folder, null, ['add', '.']);
  await mustGit(folder, null, ['commit', '--quiet', '--message', 'b']);
  const head = await mustGit(folder, null, ['rev-parse', 'HEAD']);
  const push = () => git(folder, token, ['push', 'origin', 'HEAD:refs/heads/fix']);
  await forge.misbehave({ operation: '^git git-receive-pack$', action: { do: 'drop_before' } });
  assert.notEqual((await push()).code, 0);
  assert.equal((await forge.state()).repositories[0]?.refs['refs/heads/fix'], undefined);
  await forge.misbehave({ operation: '^git git-receive-pack$', action: { do: 'drop_after' } });
  assert.notEqual((await push()).code, 0);
  assert.equal((await forge.state()).repositories[0]?.refs['refs/heads/fix'], head);
  assert.match((await push()).output, /Everything up-to-date/);
});

test('holds a request until it is released', async (t) => {
  const { forge, where, mint } = await sample(t);
  const { octokit } = await mint();
  const { id } = await forge.misbehave({ path: '^/repos/octo/sample$', action: { do: 'hold' } });
  const held = octokit.repos.get(where);
  await forge.waitFor(({ misbehaviour }) => misbehaviour[0]?.holding === 1, 5_000);
  assert.equal((await octokit.repos.get(where)).status, 200, 'once is once');
  await forge.release(id);
  assert.equal((await held).status, 200);
});

test('gives tokens that end early, and moves its clock', async (t) => {
  const { forge, where, mint } = await sample(t);
  await forge.misbehave({ action: { do: 'short_token', lifeMs: 60_000 } });
  const short = await mint();
  const usual = await mint();
  await forge.advanceClock(61_000);
  await refused(short.octokit.repos.get(where), 401, /Bad credentials/);
  assert.equal((await usual.octokit.repos.get(where)).status, 200);
  const states = (await forge.state()).tokens.map(({ state }) => state);
  assert.deepEqual(states, ['expired', 'live']);
});
