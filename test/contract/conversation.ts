/** What the product counts on about issues, comments, labels, reactions, assignees and people's permissions. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Octokit } from '@octokit/rest';
import { refused } from './refusal.ts';
import { asApp, mint, type Target } from './target.ts';

export function conversation(open: () => Target): void {
  describe('conversation', () => {
    let target: Target;
    let octokit: Octokit;
    let bot: string;
    let where: { owner: string; repo: string };
    let at: { owner: string; repo: string; issue_number: number };

    before(async () => {
      target = open();
      where = { owner: target.repository.owner, repo: target.repository.name };
      octokit = (await mint(target)).octokit;
      bot = `${(await asApp(target).apps.getAuthenticated()).data?.slug}[bot]`;
      const issue = await octokit.issues.create({ ...where, title: 'Contract: conversation', body: 'Émoji 🧥, עברית' });
      at = { ...where, issue_number: issue.data.number };
    });
    after(() => octokit?.issues.update({ ...at, state: 'closed' }));

    it('shows an issue with its text as it was written', async () => {
      const { data } = await octokit.issues.get(at);
      assert.equal(data.body, 'Émoji 🧥, עברית');
      assert.equal(data.state, 'open');
      assert.equal(data.user?.login, bot);
      assert.equal(data.user?.type, 'Bot');
      await refused(octokit.issues.get({ ...where, issue_number: 99_999_999 }), 404, /Not Found/);
    });

    it('knows the App\u2019s bot as an account of its own', async () => {
      const { data } = await octokit.users.getByUsername({ username: bot });
      const issue = await octokit.issues.get(at);
      assert.equal(data.id, issue.data.user?.id);
    });

    it('makes, edits, lists and shows a comment', async () => {
      const made = await octokit.issues.createComment({ ...at, body: 'first' });
      assert.equal(made.status, 201);
      const edited = await octokit.issues.updateComment({ ...where, comment_id: made.data.id, body: 'second' });
      assert.equal(edited.data.id, made.data.id);
      const shown = await octokit.issues.getComment({ ...where, comment_id: made.data.id });
      assert.equal(shown.data.body, 'second');
      assert.equal(shown.data.user?.login, bot);
      assert.equal(shown.data.performed_via_github_app?.id, target.app.id);
      const bodies = (await octokit.issues.listComments(at)).data.map((comment) => comment.body);
      assert.deepEqual(bodies, ['second']);
      await refused(octokit.issues.updateComment({ ...where, comment_id: 1, body: 'no' }), 404);
    });

    it('refuses comments that are blank or too long', async () => {
      await refused(octokit.issues.createComment({ ...at, body: '' }), 422);
      await refused(octokit.issues.createComment({ ...at, body: 'x'.repeat(65_537) }), 422, /too long/);
    });

    it('pages through lists', async () => {
      for (const body of ['a', 'b']) await octokit.issues.createComment({ ...at, body });
      const first = await octokit.issues.listComments({ ...at, per_page: 1 });
      assert.equal(first.data.length, 1);
      assert.match(first.headers.link ?? '', /rel="next"/);
      const all = await octokit.paginate(octokit.issues.listComments, { ...at, per_page: 1 });
      assert.deepEqual(
        all.map((comment) => comment.body),
        ['second', 'a', 'b'],
      );
    });

    it('reacts once with each content', async () => {
      const first = await octokit.reactions.createForIssue({ ...at, content: 'eyes' });
      assert.equal(first.status, 201);
      const second = await octokit.reactions.createForIssue({ ...at, content: 'eyes' });
      assert.equal(second.status, 200);
      assert.equal(second.data.id, first.data.id);
      const other = await octokit.reactions.createForIssue({ ...at, content: 'rocket' });
      const contents = (await octokit.reactions.listForIssue(at)).data.map((reaction) => reaction.content);
      assert.deepEqual(contents.toSorted(), ['eyes', 'rocket']);
      const gone = await octokit.reactions.deleteForIssue({ ...at, reaction_id: other.data.id });
      assert.equal(gone.status, 204);
      assert.equal((await octokit.reactions.listForIssue(at)).data.length, 1);
    });

    it('reacts to a comment', async () => {
      const comment = await octokit.issues.createComment({ ...at, body: 'c' });
      const on = { ...where, comment_id: comment.data.id };
      const made = await octokit.reactions.createForIssueComment({ ...on, content: 'confused' });
      assert.equal(made.status, 201);
      assert.equal((await octokit.reactions.createForIssueComment({ ...on, content: 'confused' })).status, 200);
      assert.equal((await octokit.reactions.listForIssueComment(on)).data[0]?.user?.login, bot);
    });

    it('takes a label off once', async () => {
      await octokit.issues.addLabels({ ...at, labels: ['coatcheck-contract'] });
      const left = await octokit.issues.removeLabel({ ...at, name: 'coatcheck-contract' });
      assert.equal(left.status, 200);
      assert.deepEqual(left.data, []);
      await refused(octokit.issues.removeLabel({ ...at, name: 'coatcheck-contract' }), 404, /Label does not exist/);
    });

    it('assigns no App, and says nothing about it', async () => {
      const { status, data } = await octokit.issues.addAssignees({ ...at, assignees: [bot] });
      assert.equal(status, 201);
      assert.deepEqual(data.assignees, []);
    });

    it('tells people\u2019s permission', async () => {
      const { data } = await octokit.repos.get(where);
      if (data.owner.type === 'User') {
        const owner = await octokit.repos.getCollaboratorPermissionLevel({ ...where, username: data.owner.login });
        assert.equal(owner.data.permission, 'admin');
      }
      const nobody = { ...where, username: 'no-such-user-of-coatcheck-contract' };
      await refused(octokit.repos.getCollaboratorPermissionLevel(nobody), 404);
      await refused(octokit.repos.getCollaboratorPermissionLevel({ ...where, username: bot }), 404, /is not a user/);
    });
  });
}
