import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { asToken } from '../contract/target.ts';
import { markdown } from './pages/markdown.ts';
import { sample } from './sample.ts';

test('shows untrusted Markdown without its HTML, scripts and remote images', () => {
  const text = String(
    markdown(
      'Text <script>alert(1)</script> **bold** [x](javascript:alert(1)) ![i](http://pics.invalid/i.png) <img src=x onerror=y>\n\n<script>block</script>\n\n<!-- marker -->\n\n<details><summary>more</summary>\n\ntext\n\n</details>\n\n| a |\n|---|\n| `b` |',
    ),
  );
  assert.ok(!/<script|<img|href="javascript|<!--|marker/.test(text), text);
  assert.match(text, /<strong>bold<\/strong>/);
  assert.match(text, /&lt;script&gt;/);
  assert.match(text, /<details><summary>more<\/summary>/);
  assert.match(text, /<td><code>b<\/code><\/td>/);
});

test('shows issues, pull requests, diffs and checks', async (t) => {
  const { forge, where, mint } = await sample(t);
  const { number } = await forge.createIssue({ repository: 'octo/sample', title: 'A <b>bug</b>', body: 'It *fails*', as: 'ada' });
  await forge.labelIssue({ repository: 'octo/sample', number, label: 'coatcheck', as: 'ada' });
  const files = { 'src/a.txt': 'two\n' };
  const { sha } = await forge.pushCommit({ repository: 'octo/sample', branch: 'fix/it', files, message: 'Fix', as: 'ada' });
  const { octokit } = await mint();
  await octokit.reactions.createForIssue({ ...where, issue_number: number, content: 'eyes' });
  const pull = await octokit.pulls.create({
    ...where,
    title: 'Fix it',
    head: 'fix/it',
    base: 'main',
    body: '| t |\n|---|\n| v |',
    draft: true,
  });
  const output = { title: 'All verified', summary: '**3** commands' };
  const check = await octokit.checks.create({ ...where, name: 'coatcheck', head_sha: sha, conclusion: 'success', output });

  const shown = async (address: string) => {
    const answer = await fetch(address);
    assert.equal(answer.status, 200, address);
    assert.match(answer.headers.get('content-security-policy') ?? '', /default-src 'none'/);
    return answer.text();
  };
  const issuePage = await shown(`${forge.url}/octo/sample/issues/${number}`);
  assert.match(issuePage, /A &lt;b&gt;bug&lt;\/b&gt;/);
  assert.match(issuePage, /<em>fails<\/em>/);
  assert.match(issuePage, /👀 1/);
  assert.match(issuePage, /added the label coatcheck/);
  const pullPage = await shown(pull.data.html_url);
  assert.match(pullPage, /class="state draft">Draft/);
  assert.match(pullPage, /<tr class="del">[\s\S]*-one[\s\S]*<tr class="add">[\s\S]*\+two/);
  assert.match(pullPage, /✓ success/);
  assert.match(await shown(check.data.html_url ?? ''), /All verified[\s\S]*<strong>3<\/strong> commands/);
  assert.match(await shown(`${forge.url}/octo/sample`), /fix\/it[\s\S]*/);
  assert.match(await shown(`${forge.url}/octo/sample/blob/fix/it/src/a.txt`), /two/);
  assert.match(await shown(`${forge.url}/octo/sample/commit/${sha}`), /src\/a\.txt/);
  assert.match(await shown(`${forge.url}/octo/sample/pulls`), /Fix it/);
  assert.equal((await fetch(`${forge.url}/octo/sample/issues/99`)).status, 404);
  assert.equal((await fetch(`${forge.url}/nobody`)).status, 404);
});

test('makes an App from a manifest, whose keys are fetched once', async (t) => {
  const { forge, target } = await sample(t);
  const manifest = JSON.stringify({
    name: 'My Coatcheck',
    url: 'https://app.invalid/',
    redirect_url: 'http://127.0.0.1:9/made',
    hook_attributes: { url: 'http://127.0.0.1:9/hook' },
    default_permissions: { issues: 'write' },
    default_events: ['issues'],
  });
  const post = (path: string, form: Record<string, string>) =>
    fetch(`${forge.url}${path}`, { method: 'POST', body: new URLSearchParams(form), redirect: 'manual' });
  assert.match(await (await post('/settings/apps/new?state=abc', { manifest })).text(), /issues: write/);
  const made = await post('/settings/apps/create', { manifest, state: 'abc' });
  const next = new URL(z.string().parse(made.headers.get('location')));
  assert.equal(next.searchParams.get('state'), 'abc');
  const code = z.string().parse(next.searchParams.get('code'));
  const { data } = await asToken(target, '').apps.createFromManifest({ code });
  assert.equal(data.slug, 'my-coatcheck');
  assert.match(data.pem, /BEGIN RSA PRIVATE KEY/);
  await assert.rejects(asToken(target, '').apps.createFromManifest({ code }), /Not Found/);
  assert.deepEqual((await forge.state()).offences, []);
});
