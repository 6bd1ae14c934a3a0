import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openMirror } from '../../src/git/mirror.ts';
import { DIRECT, remoteHead } from '../../src/git/remote.ts';
import { bareRepository, commitFiles, gitAs, temporary } from './repositories.ts';
import { serveGit } from './serve-git.ts';

const TOKEN = `ghs_${'aB3'.repeat(12)}`;
const signal = AbortSignal.timeout(60_000);
const LIMIT = 64 << 20;

async function world(t: Parameters<typeof temporary>[0], files: Record<string, string | Buffer> = { 'a.txt': 'one\n' }) {
  const root = temporary(t);
  const upstream = bareRepository(root, 'acme/widget', files);
  const server = await serveGit(root, TOKEN);
  t.after(async () => server[Symbol.asyncDispose]());
  const remote = { url: server.url('acme/widget'), token: TOKEN, network: DIRECT };
  const directory = join(root, 'mirrors');
  const mirror = await openMirror({ directory, repositoryId: 7 });
  return { root, upstream, server, remote, mirror, directory };
}

test('a mirror holds branches and tags, the pinned commit and nothing of other refs', async (t) => {
  const { upstream, remote, mirror } = await world(t);
  gitAs(upstream.path, ['tag', 'v1', 'main']);
  gitAs(upstream.path, ['update-ref', 'refs/coatcheck/records/1', 'main']);
  await mirror.update({ remote, sha: upstream.sha, ref: 'main', byteLimit: LIMIT, signal });
  const refs = gitAs(mirror.path, ['for-each-ref', '--format=%(refname)']).split('\n');
  assert.deepEqual(refs, ['refs/heads/main', `refs/keep/${upstream.sha}`, 'refs/tags/v1']);
  assert.equal(gitAs(mirror.path, ['symbolic-ref', 'HEAD']), 'refs/heads/main');
  assert.equal(await remoteHead({ remote, ref: 'refs/heads/main', signal }), upstream.sha);
  assert.equal(await remoteHead({ remote, ref: 'refs/heads/none', signal }), null);
});

test('a base commit whose branch was rewritten since is fetched by its id', async (t) => {
  const { upstream, remote, mirror } = await world(t);
  const rewritten = commitFiles(upstream.path, { 'a.txt': 'other\n' }, []);
  gitAs(upstream.path, ['update-ref', 'refs/heads/main', rewritten]);
  await mirror.update({ remote, sha: upstream.sha, ref: 'main', byteLimit: LIMIT, signal });
  assert.equal(gitAs(mirror.path, ['show', `${upstream.sha}:a.txt`]), 'one');
  assert.equal(gitAs(mirror.path, ['rev-parse', 'main']), rewritten);
});

test('concurrent updates, by two openings of one directory, all succeed', async (t) => {
  const { upstream, remote, mirror, directory } = await world(t);
  const twin = await openMirror({ directory, repositoryId: 7 });
  const update = { remote, sha: upstream.sha, ref: 'main', byteLimit: LIMIT, signal };
  await Promise.all([mirror.update(update), twin.update(update), mirror.update(update)]);
  assert.equal(gitAs(mirror.path, ['fsck', '--strict']), '');
});

for (const [form, token] of [
  ['old', `ghs_${'aB3'.repeat(12)}`],
  ['new', `ghs_${Array.from({ length: 10 }, (_, i) => `${i}Zy`.repeat(17)).join('.')}`],
] as const) {
  test(`a refused token of the ${form} form is in no error and in no file`, async (t) => {
    const { upstream, remote, mirror } = await world(t);
    await mirror.update({ remote, sha: upstream.sha, ref: 'main', byteLimit: LIMIT, signal });
    const wrong = { ...remote, token: `${token}X` };
    await assert.rejects(mirror.update({ remote: wrong, sha: upstream.sha, ref: 'main', byteLimit: LIMIT, signal }), (error) => {
      assert.ok(error instanceof Error && 'code' in error && error.code === 'repository_unreadable');
      assert.match(error.message, /Authentication failed|could not read Username|terminal prompts disabled/);
      assert.ok(!`${error.stack}${JSON.stringify(error)}`.includes(token.slice(0, 20)));
      return true;
    });
    const config = readFileSync(join(mirror.path, 'config'), 'utf8');
    assert.ok(!config.includes('ghs_') && !config.includes('Authorization'));
    assert.ok(!readdirSync(mirror.path).includes('FETCH_HEAD'));
  });
}

test('an empty, a missing and an over-large repository have each their own code', async (t) => {
  const { root, server, remote, mirror, directory, upstream } = await world(t, { 'big.bin': noise(300_000) });
  mkdirSync(join(root, 'acme'), { recursive: true });
  gitAs(root, ['init', '--quiet', '--bare', join(root, 'acme/empty.git')]);
  const update = { sha: upstream.sha, ref: 'main', byteLimit: LIMIT, signal };
  const other = (name: string) => ({ ...update, remote: { ...remote, url: server.url(name) } });
  const fresh = await openMirror({ directory, repositoryId: 8 });
  await assert.rejects(fresh.update(other('acme/empty')), { code: 'repository_empty' });
  await assert.rejects(fresh.update(other('acme/absent')), { code: 'repository_unreadable' });
  await assert.rejects(mirror.update({ ...update, remote, byteLimit: 100_000 }), { code: 'repository_too_large' });
  assert.deepEqual(readdirSync(join(mirror.path, 'objects/pack')), []);
  await mirror.update({ ...update, remote });
});

test('an address with credentials in it is refused before git is started', async (t) => {
  const { upstream, remote, mirror, server } = await world(t);
  const url = remote.url.replace('http://', 'http://x-access-token:secret@');
  const before = server.requests.length;
  await assert.rejects(mirror.update({ remote: { ...remote, url }, sha: upstream.sha, ref: 'main', byteLimit: LIMIT, signal }), {
    code: 'remote_invalid',
  });
  assert.equal(server.requests.length, before);
});

test('aborting an update ends it and releases the lock', async (t) => {
  const { upstream, remote, mirror, server } = await world(t);
  const stop = new AbortController();
  server.misbehave = () => {
    stop.abort(new Error('stopped by the test'));
    return 'answer';
  };
  const update = { remote, sha: upstream.sha, ref: 'main', byteLimit: LIMIT };
  await assert.rejects(mirror.update({ ...update, signal: stop.signal }), /stopped by the test/);
  server.misbehave = () => 'answer';
  await mirror.update({ ...update, signal });
});

/** Bytes that do not compress, the same each time. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
}
