/** What the product counts on about the App's own token, installation tokens, their scope and their end. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { eventually } from './eventually.ts';
import { refused } from './refusal.ts';
import { asApp, asToken, mint, type Target } from './target.ts';

export function credentials(open: () => Target): void {
  describe('credentials', () => {
    let target: Target;
    let where: { owner: string; repo: string };
    before(() => {
      target = open();
      where = { owner: target.repository.owner, repo: target.repository.name };
    });

    it('knows the App by its JWT, and only by a good one', async () => {
      const { data } = await asApp(target).apps.getAuthenticated();
      assert.equal(data?.id, target.app.id);
      await refused(asApp(target, { lifeSeconds: 3600 }).apps.getAuthenticated(), 401, /too far in the future/);
      await refused(asApp(target, { lifeSeconds: -60 }).apps.getAuthenticated(), 401, /exp/);
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const stranger = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
      await refused(asApp(target, { privateKey: stranger }).apps.getAuthenticated(), 401, /could not be decoded/);
    });

    it('finds the installation of a repository, and none for one outside', async () => {
      const app = asApp(target);
      const { data } = await app.apps.getRepoInstallation(where);
      const again = await app.apps.getInstallation({ installation_id: data.id });
      assert.equal(again.data.id, data.id);
      const all = await app.paginate(app.apps.listInstallations);
      assert.ok(all.some((installation) => installation.id === data.id));
      await refused(app.apps.getRepoInstallation({ owner: target.outside.owner, repo: target.outside.name }), 404);
    });

    it('narrows a token to a repository and to permissions', async () => {
      const token = await mint(target, { permissions: { contents: 'read' } });
      assert.match(token.token, /^ghs_/);
      assert.deepEqual(token.permissions, { contents: 'read', metadata: 'read' });
      assert.deepEqual(
        token.repositories?.map((repository) => repository.name),
        [where.repo],
      );
      const lifeMs = Date.parse(token.expires_at) - Date.now();
      assert.ok(lifeMs > 55 * 60_000 && lifeMs <= 61 * 60_000, `${lifeMs} ms`);
      const { data } = await token.octokit.apps.listReposAccessibleToInstallation();
      assert.equal(data.total_count, 1);
    });

    it('gives no token for more than the installation has', async () => {
      await refused(mint(target, { permissions: { administration: 'write' } }), 422, /permissions requested are not granted/);
      await refused(
        mint(target, { repositories: ['there-is-no-such-repository'] }),
        422,
        /not accessible to the parent installation/,
      );
    });

    it('answers 403 to a token without the permission, and does nothing', async () => {
      const full = await mint(target);
      const issue = await full.octokit.issues.create({ ...where, title: 'Contract: permissions' });
      const at = { ...where, issue_number: issue.data.number };
      const reader = await mint(target, { permissions: { contents: 'read' } });
      const needed = /Resource not accessible by integration/;
      await refused(reader.octokit.issues.get(at), 403, needed);
      await refused(reader.octokit.issues.createComment({ ...at, body: 'no' }), 403, needed);
      await refused(reader.octokit.checks.create({ ...where, name: 'no', head_sha: '0'.repeat(40) }), 403, needed);
      await refused(reader.octokit.pulls.list(where), 403, needed);
      const commenter = await mint(target, { permissions: { issues: 'write' } });
      await refused(commenter.octokit.git.getRef({ ...where, ref: 'heads/main' }), 403, needed);
      assert.deepEqual((await commenter.octokit.issues.listComments(at)).data, []);
      await full.octokit.issues.update({ ...at, state: 'closed' });
    });

    it('answers 404 for repositories outside the token, as if they were not there', async () => {
      const { octokit } = await mint(target);
      await refused(octokit.repos.get({ owner: target.outside.owner, repo: target.outside.name }), 404, /Not Found/);
      if (!target.second) return;
      const second = { owner: target.second.owner, repo: target.second.name };
      await refused(octokit.repos.get(second), 404, /Not Found/);
      const other = await mint(target, { repositories: [target.second.name] });
      assert.equal((await other.octokit.repos.get(second)).status, 200);
      await refused(other.octokit.repos.get(where), 404, /Not Found/);
    });

    it('shows a private repository to nobody without a token', async () => {
      const anonymous = asToken(target, '');
      await refused(anonymous.repos.get(where), 404);
      await refused(asToken(target, 'ghs_000000000000000000000000000000000000').repos.get(where), 401, /Bad credentials/);
    });

    it('forgets a revoked token', async () => {
      const { octokit } = await mint(target);
      assert.equal((await octokit.repos.get(where)).status, 200);
      assert.equal((await octokit.apps.revokeInstallationAccessToken()).status, 204);
      await eventually('the token is refused', async () => {
        const outcome = await octokit.repos.get(where).catch((thrown: unknown) => thrown);
        return outcome instanceof Error ? outcome : undefined;
      });
      await refused(octokit.repos.get(where), 401, /Bad credentials/);
    });
  });
}
