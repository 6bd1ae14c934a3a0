import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { git, remoteOf } from '../contract/git-client.ts';
import { refused } from '../contract/refusal.ts';
import { asToken } from '../contract/target.ts';
import { forgeInProcess, sample } from './sample.ts';

test('ends when its parent is gone, and takes its temporary folder along', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'forge-test-'));
  const main = path.join(import.meta.dirname, 'main.ts');
  const child = spawn(process.execPath, [main, '--directory', directory, '--end-with-stdin', '--temporary'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [line] = await once(child.stdout, 'data');
  assert.match(String(line), /^\{"url":"http:\/\/127\.0\.0\.1:\d+"/);
  child.stdin.end();
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
  assert.equal(existsSync(directory), false);
});

test('remembers requests for what it does not know', async (t) => {
  const { forge, mint } = await sample(t);
  const { octokit } = await mint();
  await refused(octokit.gists.list(), 404);
  assert.deepEqual((await forge.state()).unsupported, ['GET /gists']);
});

test('gives tokens in the longer form when told so, and takes them for git too', async (t) => {
  const { target, mint } = await sample(t, { tokenForm: 'long' });
  const { token, octokit } = await mint();
  assert.ok(token.length > 500 && token.split('.').length === 3, token);
  assert.equal((await octokit.apps.listReposAccessibleToInstallation()).data.total_count, 1);
  const listing = await git('/', token, ['ls-remote', remoteOf(target)]);
  assert.equal(listing.code, 0, listing.output);
});

test('opens no draft where drafts are not to be had', async (t) => {
  const { forge, where, mint } = await sample(t, { drafts: false });
  await forge.pushCommit({ repository: 'octo/sample', branch: 'fix', files: { 'b.txt': 'b' }, message: 'b', as: 'ada' });
  const { octokit } = await mint();
  const pull = { ...where, head: 'fix', base: 'main', title: 'Fix' };
  await refused(octokit.pulls.create({ ...pull, draft: true }), 422, /Draft pull requests are not supported/);
  assert.equal((await octokit.pulls.create(pull)).status, 201);
});

test('answers 409 about the git data of an empty repository', async (t) => {
  const { forge, mint } = await sample(t, { permissions: { contents: 'read' } });
  const app = await forge.createApp({ slug: 'other', webhookSecret: 's', permissions: { contents: 'read' }, events: [] });
  await forge.createRepository({ owner: 'octo', name: 'empty', private: false });
  assert.equal(app.botUser.login, 'other[bot]');
  const { octokit } = await mint();
  await refused(octokit.git.getRef({ owner: 'octo', repo: 'empty', ref: 'heads/main' }), 409, /empty/);
});

test('lets the public read a public repository, and nobody write it', async (t) => {
  const { forge, target, mint } = await sample(t);
  await forge.createRepository({ owner: 'octo', name: 'open', private: false, files: { a: 'a' } });
  const open = { owner: 'octo', repo: 'open' };
  assert.equal((await asToken(target, '').repos.get(open)).status, 200);
  const { octokit } = await mint();
  assert.equal((await octokit.repos.get(open)).status, 200);
  await refused(octokit.issues.create({ ...open, title: 'no' }), 403, /Resource not accessible by integration/);
});

test('knows the five roles, and forgets a collaborator who was taken away', async (t) => {
  const { forge, where, mint } = await sample(t);
  const { octokit } = await mint();
  const told = async (username: string) => {
    const { data } = await octokit.repos.getCollaboratorPermissionLevel({ ...where, username });
    return `${data.permission} ${data.role_name}`;
  };
  const expected = {
    read: 'read read',
    triage: 'read triage',
    write: 'write write',
    maintain: 'write maintain',
    admin: 'admin admin',
  } as const;
  for (const role of ['read', 'triage', 'write', 'maintain', 'admin'] as const) {
    await forge.setCollaborator({ repository: 'octo/sample', login: 'max', role });
    assert.equal(await told('max'), expected[role]);
  }
  await forge.setCollaborator({ repository: 'octo/sample', login: 'max', role: null });
  assert.equal(await told('max'), 'none none');
});

test('takes a repository in from a folder', async (t) => {
  const { forge, target } = await sample(t);
  const { head } = await forge.createRepository({
    owner: 'octo',
    name: 'first',
    files: { a: 'a' },
    defaultBranch: 'trunk',
    private: false,
  });
  const folder = await mkdtemp(path.join(tmpdir(), 'forge-test-'));
  t.after(() => rm(folder, { recursive: true }));
  const cloned = await git(folder, null, ['clone', '--quiet', '--', remoteOf(target, { owner: 'octo', name: 'first' }), '.']);
  assert.equal(cloned.code, 0, cloned.output);
  const copy = await forge.createRepository({ owner: 'octo', name: 'copy', fromPath: folder });
  assert.equal(copy.head, head);
});

test('waits for a state, and says what did not come', async (t) => {
  const forge = await forgeInProcess(t);
  const coming = forge.waitFor(({ repositories }) => repositories.length === 1, 5_000);
  await forge.createRepository({ owner: 'octo', name: 'sample' });
  assert.equal((await coming).repositories[0]?.fullName, 'octo/sample');
  await assert.rejects(
    forge.waitFor(() => false, 50, 'the impossible'),
    /not within 50 ms: the impossible/,
  );
});

test('takes gzipped requests and speaks protocol version 2, as git sends them', async (t) => {
  const { forge, mint } = await sample(t);
  const { token } = await mint();
  const line = (text: string) => `${(text.length + 4).toString(16).padStart(4, '0')}${text}`;
  const answer = await fetch(`${forge.url}/octo/sample.git/git-upload-pack`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/x-git-upload-pack-request',
      'content-encoding': 'gzip',
      'git-protocol': 'version=2',
    },
    body: gzipSync(`${line('command=ls-refs\n')}0001${line('peel\n')}0000`),
  });
  assert.equal(answer.status, 200);
  assert.match(await answer.text(), /^[0-9a-f]{4}[0-9a-f]{40} (HEAD|refs\/heads\/main)/);
});
