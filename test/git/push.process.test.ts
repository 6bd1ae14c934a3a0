import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeCommit } from '../../src/git/commit.ts';
import { branchRef, pushBranch } from '../../src/git/push.ts';
import { FILES, gitAs, quarantineWorld, type World } from './quarantine-world.ts';
import { commitFiles } from './repositories.ts';

const APP = { name: 'coatcheck[bot]', email: '42+coatcheck[bot]@users.noreply.github.test' };
const BRANCH = 'coatcheck/issue-1-abcdefgh';

async function changed(
  t: TestContext,
): Promise<
  World & { sha: string; tree: string; push: (expected?: string | null, sha?: string) => ReturnType<typeof pushBranch> }
> {
  const world = await quarantineWorld(t);
  const tree = world.rawTree([...world.baseEntries, ['100644', 'z', world.blob('new\n')]]);
  const report = await world.check(world.bundle(tree), tree);
  assert.equal(report.verdict, 'clean');
  const sha = await commit(world, tree);
  const { quarantine, remote, signal } = world;
  return {
    ...world,
    ...{ sha, tree },
    push: (expected = null, one = sha) => pushBranch(quarantine, { remote, branch: BRANCH, sha: one, expected, signal }),
  };
}

const commit = (
  world: World,
  tree: string,
  parent = world.base,
  message = 'Fix it\n\nCo-authored-by: A Person <person@people.test>\n',
) =>
  makeCommit(world.quarantine, {
    tree,
    parent,
    author: APP,
    committer: APP,
    message,
    date: new Date('2026-01-02T03:04:05Z'),
    signal: world.signal,
  });

const onRemote = (world: World): string | null => {
  const line = gitAs(world.upstream, ['for-each-ref', '--format=%(objectname)', `refs/heads/${BRANCH}`]);
  return line === '' ? null : line;
};

const pushes = (world: World): number =>
  world.server.requests.filter((line) => line.startsWith('POST') && line.includes('receive-pack')).length;

test("the commit is the server's own: identity, parent, tree, message; twice is once", async (t) => {
  const world = await changed(t);
  const text = gitAs(world.quarantine.repository, ['cat-file', 'commit', world.sha]);
  assert.equal(
    text,
    `tree ${world.tree}\nparent ${world.base}\nauthor ${APP.name} <${APP.email}> 1767323045 +0000\ncommitter ${APP.name} <${APP.email}> 1767323045 +0000\n\nFix it\n\nCo-authored-by: A Person <person@people.test>`,
  );
  assert.equal(await commit(world, world.tree), world.sha);
});

test('a tree that was not found clean cannot be committed, nor an identity that git would rewrite', async (t) => {
  const world = await changed(t);
  const other = world.rawTree([['100644', 'q', world.blob('q')]]);
  await assert.rejects(commit(world, other), { code: 'git_failed' });
  const bad = { tree: world.tree, parent: world.base, committer: APP, message: 'x', date: new Date(), signal: world.signal };
  for (const name of ['', ' ', 'a\nauthor b', 'a <b@c.test>']) {
    await assert.rejects(makeCommit(world.quarantine, { ...bad, author: { name, email: 'a@b.test' } }), {
      code: 'identity_invalid',
    });
  }
});

test('a new branch is pushed once; asked again, nothing is sent', async (t) => {
  const world = await changed(t);
  assert.deepEqual(await world.push(), { kind: 'pushed' });
  assert.equal(onRemote(world), world.sha);
  assert.deepEqual(await world.push(), { kind: 'already_there' });
  assert.equal(pushes(world), 1);
  assert.equal(gitAs(world.upstream, ['fsck', '--strict', '--no-dangling']), '');
});

test('the base branch may have moved on or been rewritten since; little is sent', async (t) => {
  const world = await changed(t);
  const next = commitFiles(world.upstream, { ...FILES, 'more.txt': 'x' }, [world.base]);
  gitAs(world.upstream, ['update-ref', 'refs/heads/main', next]);
  assert.deepEqual(await world.push(), { kind: 'pushed' });
  assert.equal(onRemote(world), world.sha);
  assert.equal(gitAs(world.upstream, ['rev-parse', `refs/heads/${BRANCH}~1`]), world.base);
});

test('a branch that somebody else made, moved or removed is left as it is', async (t) => {
  const world = await changed(t);
  gitAs(world.upstream, ['update-ref', `refs/heads/${BRANCH}`, world.base]);
  assert.deepEqual(await world.push(null), { kind: 'moved', remote: world.base });
  const theirs = commitFiles(world.upstream, { x: 'y' }, [world.base]);
  gitAs(world.upstream, ['update-ref', `refs/heads/${BRANCH}`, theirs]);
  assert.deepEqual(await world.push(world.base), { kind: 'moved', remote: theirs });
  assert.equal(onRemote(world), theirs);
  gitAs(world.upstream, ['update-ref', '-d', `refs/heads/${BRANCH}`]);
  assert.deepEqual(await world.push(world.base), { kind: 'moved', remote: null });
  assert.equal(pushes(world), 0);
});

// The first is caught by the lease, the second by the old id in the push itself.
for (const when of ['GET', 'POST']) {
  test(`a branch that moves between the look and the ${when} of the push is left as it is`, async (t) => {
    const world = await changed(t);
    const theirs = commitFiles(world.upstream, { x: 'y' }, [world.base]);
    world.server.misbehave = (request) => {
      const now = request.method === when && request.url?.includes('receive-pack');
      if (now) gitAs(world.upstream, ['update-ref', `refs/heads/${BRANCH}`, theirs]);
      return 'answer';
    };
    assert.deepEqual(await world.push(), { kind: 'moved', remote: theirs });
    assert.equal(onRemote(world), theirs);
  });
}

test('forward from the expected commit is pushed, a rewrite is not', async (t) => {
  const world = await changed(t);
  gitAs(world.upstream, ['update-ref', `refs/heads/${BRANCH}`, world.base]);
  assert.deepEqual(await world.push(world.base), { kind: 'pushed' });
  const sibling = await commit(world, world.tree, world.base, 'sibling');
  await assert.rejects(world.push(world.sha, sibling), { code: 'not_fast_forward' });
  assert.equal(onRemote(world), world.sha);
});

test("a lost answer is told by looking, not by pushing again; a failed push is an error with git's reason", async (t) => {
  const world = await changed(t);
  world.server.misbehave = (request) => (request.method === 'POST' && request.url?.includes('receive-pack') ? 'error' : 'answer');
  await assert.rejects(world.push(), { code: 'push_refused' });
  assert.equal(onRemote(world), null);
  gitAs(world.upstream, ['config', 'core.logAllRefUpdates', 'always']);
  world.server.misbehave = (request) =>
    request.method === 'POST' && request.url?.includes('receive-pack') ? 'drop_after' : 'answer';
  assert.deepEqual(await world.push(), { kind: 'pushed' });
  assert.equal(onRemote(world), world.sha);
  // curl itself may repeat a request on a connection that broke; it names the old id, so that the branch moves once.
  assert.equal(gitAs(world.upstream, ['reflog', 'show', `refs/heads/${BRANCH}`]).split('\n').length, 1);
});

test('a hook in the repository that is pushed from does not run', async (t) => {
  const world = await changed(t);
  const hook = join(world.quarantine.repository, 'hooks');
  const marker = join(world.root, 'marker');
  mkdirSync(hook, { recursive: true });
  for (const name of ['pre-push', 'reference-transaction', 'post-commit'])
    writeFileSync(join(hook, name), `#!/bin/sh\ntouch ${marker}\n`, { mode: 0o755 });
  assert.deepEqual(await world.push(), { kind: 'pushed' });
  assert.ok(!existsSync(marker));
  gitAs(world.quarantine.repository, ['update-ref', 'refs/heads/x', world.base]);
  assert.ok(existsSync(marker), 'the same hook runs for a git that reads it');
});

test('only names of our own making are branches', () => {
  assert.equal(branchRef('coatcheck/issue-12-0123abcd'), 'refs/heads/coatcheck/issue-12-0123abcd');
  for (const name of [
    ...[
      '',
      'main',
      'coatcheck/',
      'coatcheck/a b',
      'coatcheck/a\u3000b',
      'coatcheck/$(id)',
      'coatcheck/a;b',
      '-coatcheck/a',
      '--force',
      'coatcheck/-a',
    ],
    ...[
      'coatcheck/a\u202eb',
      'coatcheck/a..b',
      'coatcheck/a.lock',
      'coatcheck/A',
      'refs/heads/coatcheck/a',
      'coatcheck/a:main',
      'coatcheck/a\n',
      '+coatcheck/a',
    ],
    ...[`coatcheck/${'a'.repeat(200)}`, 'coatcheck/a^', 'coatcheck/a~1', 'coatcheck/@{u}', 'coatcheck/a/b', 'coatcheck/a*'],
  ]) {
    assert.throws(() => branchRef(name), { code: 'branch_invalid' }, name);
  }
});
