/** What the product counts on about git over HTTP, git data, pull requests and check runs. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Octokit } from '@octokit/rest';
import { git, mustGit, remoteOf } from './git-client.ts';
import { refused } from './refusal.ts';
import { mint, type Target } from './target.ts';

export function change(open: () => Target): void {
  describe('change', () => {
    let target: Target;
    let octokit: Octokit;
    let token: string;
    let where: { owner: string; repo: string };
    let base: string;
    let folder: string;
    let head: string;
    const branch = `coatcheck/contract-${process.pid}-${Date.now()}`;

    before(async () => {
      target = open();
      where = { owner: target.repository.owner, repo: target.repository.name };
      ({ octokit, token } = await mint(target));
      base = (await octokit.repos.get(where)).data.default_branch;
      folder = await mkdtemp(path.join(tmpdir(), 'contract-'));
      await mustGit(folder, token, ['clone', '--quiet', '--', remoteOf(target), '.']);
      await mustGit(folder, null, ['switch', '--quiet', '--create', branch]);
      await writeFile(path.join(folder, `${process.pid}.txt`), `${Date.now()}\n`);
      await mustGit(folder, null, ['add', '.']);
      await mustGit(folder, null, ['commit', '--quiet', '--message', 'A change']);
      head = await mustGit(folder, null, ['rev-parse', 'HEAD']);
    });
    after(() => rm(folder, { recursive: true, force: true }));

    const push = (as: string | null, ...refspecs: string[]) => git(folder, as, ['push', remoteOf(target), ...refspecs]);

    it('lets nobody fetch a private repository without a token', async () => {
      const anonymous = await git(folder, null, ['ls-remote', remoteOf(target)]);
      assert.notEqual(anonymous.code, 0);
      const outside = await git(folder, token, ['ls-remote', remoteOf(target, target.outside)]);
      assert.match(outside.output, /not found/i);
      const good = await git(folder, token, ['ls-remote', remoteOf(target)]);
      assert.equal(good.code, 0, good.output);
    });

    it('serves a commit by its id', async () => {
      const sha = (await octokit.git.getRef({ ...where, ref: `heads/${base}` })).data.object.sha;
      const bare = await mkdtemp(path.join(tmpdir(), 'contract-'));
      try {
        await mustGit(bare, null, ['init', '--quiet', '--bare']);
        await mustGit(bare, token, ['fetch', '--quiet', '--depth=1', '--', remoteOf(target), sha]);
      } finally {
        await rm(bare, { recursive: true });
      }
    });

    it('refuses a push by a reader, and takes it from a writer', async () => {
      const reader = await mint(target, { permissions: { contents: 'read' } });
      const no = await push(reader.token, `HEAD:refs/heads/${branch}`);
      assert.notEqual(no.code, 0);
      assert.match(no.output, /403|Write access to repository not granted/);
      await refused(octokit.git.getRef({ ...where, ref: `heads/${branch}` }), 404, /Not Found/);
      const yes = await push(token, `HEAD:refs/heads/${branch}`);
      assert.equal(yes.code, 0, yes.output);
      const ref = await octokit.git.getRef({ ...where, ref: `heads/${branch}` });
      assert.equal(ref.data.object.sha, head);
      assert.equal((await octokit.repos.getBranch({ ...where, branch })).data.commit.sha, head);
    });

    it('refuses a push whose expectation of the branch is stale', async () => {
      const wrong = 'f'.repeat(40);
      const stale = await push(token, `--force-with-lease=refs/heads/${branch}:${wrong}`, `HEAD~1:refs/heads/${branch}`);
      assert.notEqual(stale.code, 0);
      assert.match(stale.output, /stale info/);
      const backwards = await push(token, `HEAD~1:refs/heads/${branch}`);
      assert.match(backwards.output, /rejected.*(non-fast-forward|fetch first)/);
    });

    it('refuses workflow files from an App without that permission', async (t) => {
      const { permissions } = await mint(target);
      if (permissions?.['workflows']) return t.skip('the App has the permission');
      await mustGit(folder, null, ['switch', '--quiet', '--detach']);
      const name = '.github/workflows/contract.yml';
      const blob = await mustGit(folder, null, ['hash-object', '-w', `${process.pid}.txt`]);
      await mustGit(folder, null, ['update-index', '--add', '--cacheinfo', `100644,${blob},${name}`]);
      await mustGit(folder, null, ['commit', '--quiet', '--message', 'A workflow']);
      const no = await push(token, `HEAD:refs/heads/${branch}-workflow`);
      await mustGit(folder, null, ['switch', '--quiet', branch]);
      assert.notEqual(no.code, 0);
      assert.match(no.output, /remote rejected.*refusing to allow a GitHub App to create or update workflow/);
      await refused(octokit.git.getRef({ ...where, ref: `heads/${branch}-workflow` }), 404);
      return undefined;
    });

    it('reads commits, trees and blobs', async () => {
      const commit = await octokit.git.getCommit({ ...where, commit_sha: head });
      assert.equal(commit.data.message, 'A change');
      const tree = await octokit.git.getTree({ ...where, tree_sha: commit.data.tree.sha, recursive: 'true' });
      const file = tree.data.tree.find((entry) => entry.path === `${process.pid}.txt`);
      assert.equal(file?.mode, '100644');
      const blob = await octokit.git.getBlob({ ...where, file_sha: file?.sha ?? '' });
      assert.match(Buffer.from(blob.data.content, 'base64').toString(), /^\d+\n$/);
      await refused(octokit.git.getCommit({ ...where, commit_sha: 'f'.repeat(40) }), 404);
      await refused(octokit.repos.getBranch({ ...where, branch: 'no-such-branch' }), 404, /Branch not found/);
    });

    it('opens one pull request for a head, finds it, and changes it', async () => {
      const request = { ...where, title: 'Contract: a change', head: branch, base };
      await refused(octokit.pulls.create({ ...request, head: 'no-such-branch' }), 422, /head/);
      await refused(octokit.pulls.create({ ...request, head: base }), 422, /No commits between/);
      const made = await octokit.pulls.create({ ...request, body: '<!-- coatcheck: marker -->' });
      assert.equal(made.status, 201);
      assert.equal(made.data.head.sha, head);
      assert.equal(made.data.draft, false);
      await refused(octokit.pulls.create(request), 422, new RegExp(`A pull request already exists for ${where.owner}:${branch}`));
      const found = await octokit.pulls.list({ ...where, head: `${where.owner}:${branch}`, state: 'all' });
      assert.deepEqual(
        found.data.map((pull) => [pull.number, pull.body]),
        [[made.data.number, '<!-- coatcheck: marker -->']],
      );
      const at = { ...where, pull_number: made.data.number };
      await octokit.pulls.update({ ...at, title: 'Contract: better' });
      const shown = (await octokit.pulls.get(at)).data;
      assert.equal(shown.title, 'Contract: better');
      assert.equal(shown.commits, 1);
      assert.equal(shown.changed_files, 1);
      assert.ok((await octokit.issues.get({ ...where, issue_number: made.data.number })).data.pull_request);
      assert.equal((await octokit.pulls.update({ ...at, state: 'closed' })).data.state, 'closed');
      assert.deepEqual((await octokit.pulls.list({ ...where, head: `${where.owner}:${branch}` })).data, []);
    });

    it('runs a check from start to end', async () => {
      const made = await octokit.checks.create({
        ...where,
        name: 'coatcheck contract',
        head_sha: head,
        status: 'in_progress',
        external_id: 'task-1',
        output: { title: 'Working', summary: 'so far' },
      });
      assert.equal(made.data.conclusion, null);
      const at = { ...where, check_run_id: made.data.id };
      const done = await octokit.checks.update({
        ...at,
        conclusion: 'neutral',
        output: { title: 'Done', summary: 'all', text: '| a |\n|---|\n| b |' },
      });
      assert.equal(done.data.status, 'completed');
      assert.ok(done.data.completed_at);
      const list = await octokit.checks.listForRef({ ...where, ref: head, check_name: 'coatcheck contract' });
      assert.deepEqual(
        list.data.check_runs.map((run) => [run.id, run.conclusion, run.output.title, run.external_id]),
        [[made.data.id, 'neutral', 'Done', 'task-1']],
      );
    });

    it('refuses a check that stands on nothing, or says too much', async () => {
      const check = { ...where, name: 'coatcheck contract 2', head_sha: head };
      await refused(octokit.checks.create({ ...check, head_sha: 'f'.repeat(40) }), 422, /No commit found/);
      await refused(octokit.checks.create({ ...check, output: { title: 't', summary: 'x'.repeat(65_536) } }), 422);
    });

    it('deletes a ref once', async () => {
      const ref = { ...where, ref: `heads/${branch}` };
      assert.equal((await octokit.git.deleteRef(ref)).status, 204);
      await refused(octokit.git.deleteRef(ref), 422, /Reference does not exist/);
      await refused(octokit.git.getRef(ref), 404, /Not Found/);
    });
  });
}
