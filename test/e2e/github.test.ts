/** The GitHub room and the front door against the forge. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { createWebhookHandler, type Delivery, toDelivery, WEBHOOK_PATH } from '../../src/app.ts';
import { type CredentialNote, connectGitHub, type GitHub, type Installation } from '../../src/github/github.ts';
import { readDelivery } from '../../src/triggers/read-delivery.ts';
import { type Forge, type MisbehaviourRule, startForge } from '../forge/forge.ts';
import { silent } from '../github/local-github.ts';

const SECRET = 'the webhook secret of the test';
const FULL_NAME = 'acme/sample';
const SECOND_MS = 20;

let forge: Forge;
let github: GitHub;
let installation: Installation;
let installationId: number;
let appId: number;
let privateKey: string;
let repository: { id: number; owner: string; name: string };
let empty: { id: number; owner: string; name: string };
let head: string;
let webhooks: { url: string; taken: Delivery[]; close: () => Promise<void> };
const notes: CredentialNote[] = [];

/** A front door that is there before the App is, as GitHub has to know its address. */
async function frontDoor() {
  const taken: Delivery[] = [];
  let handler: Awaited<ReturnType<typeof createWebhookHandler>> | null = null;
  const server = createServer((request, response) => void handler?.(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    taken,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${WEBHOOK_PATH}`,
    open: async () => {
      const accept = async (delivery: Delivery) => taken.push(delivery);
      handler = await createWebhookHandler({ appId, privateKey, secret: SECRET, log: silent, accept });
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

before(async () => {
  const door = await frontDoor();
  webhooks = door;
  forge = await startForge();
  const app = await forge.createApp({
    slug: 'coatcheck',
    webhookUrl: door.url,
    webhookSecret: SECRET,
    permissions: { contents: 'write', issues: 'write', pull_requests: 'write', checks: 'write', metadata: 'read' },
    events: ['issues', 'issue_comment'],
  });
  appId = app.appId;
  privateKey = app.privateKey;
  await door.open();
  const files = {
    'AGENTS.md': 'rules\n',
    'src/a.txt': 'a\n',
    '.github/coatcheck.yml': 'x: 1\n',
    'link.md': { symlink: '/etc/passwd' },
  };
  const made = await forge.createRepository({
    owner: 'acme',
    name: 'sample',
    defaultBranch: 'trunk',
    files,
    collaborators: { ann: 'write', tess: 'triage', max: 'maintain', rea: 'read' },
  });
  repository = { id: made.id, owner: 'acme', name: 'sample' };
  head = made.head ?? '';
  await forge.createUser('stranger');
  const bare = await forge.createRepository({ owner: 'acme', name: 'bare' });
  empty = { id: bare.id, owner: 'acme', name: 'bare' };
  installationId = (await forge.install({ app: 'coatcheck', owner: 'acme' })).installationId;
  github = connectGitHub({
    appId,
    privateKey,
    baseUrl: forge.api,
    log: silent,
    secondMs: SECOND_MS,
    timeoutMs: 5000,
    onCredential: (note) => notes.push(note),
  });
  installation = github.installation(installationId);
});

after(async () => {
  await using _door = { [Symbol.asyncDispose]: () => webhooks.close() };
  await using running = forge;
  const { unsupported, offences } = await running.state();
  await github.close();
  assert.deepEqual(unsupported, []);
  assert.deepEqual(offences, []);
});

const issue = async () => (await forge.createIssue({ repository: FULL_NAME, title: 'Fix it', body: 'Please', as: 'ann' })).number;
let branches = 0;
/** A branch with a commit of its own. */
async function branch(): Promise<{ name: string; sha: string }> {
  branches += 1;
  const name = `coatcheck/issue-${branches}`;
  const { sha } = await forge.pushCommit({
    repository: FULL_NAME,
    branch: name,
    files: { 'b.txt': `${branches}` },
    message: 'Fix',
    as: 'ann',
  });
  return { name, sha };
}
const misbehave = (operation: string, action: MisbehaviourRule['action'], times = 1) =>
  forge.misbehave({ operation, action, times });
const requested = async (method: string, path: RegExp) =>
  (await forge.state()).requests.filter((request) => request.method === method && path.test(request.path));

describe('who and what', () => {
  test('self names the App and its bot', async () => {
    const self = await github.self();
    assert.equal(self.appId, appId);
    assert.equal(self.botLogin, 'coatcheck[bot]');
    const bot = (await forge.state()).tokens.filter((token) => JSON.stringify(token.permissions) === '{"metadata":"read"}');
    assert.ok(bot.length > 0 && bot.every((token) => token.state === 'revoked'));
  });

  test('permission is read by the permission API', async () => {
    for (const [login, role] of [
      ['ann', 'write'],
      ['tess', 'triage'],
      ['max', 'maintain'],
      ['rea', 'read'],
      ['acme', 'admin'],
      ['stranger', 'none'],
      ['nobody-at-all', 'none'],
      ['coatcheck[bot]', 'none'],
    ]) {
      assert.equal(await installation.permissionOf(repository, login ?? ''), role, login);
    }
  });

  test('the base is the head of the default branch', async () => {
    assert.deepEqual(await installation.baseOf(repository), { ref: 'trunk', sha: head });
    await assert.rejects(installation.baseOf(empty), { code: 'repository_empty' });
  });

  test('files are read as git blobs, with their modes', async () => {
    const root = await installation.readTree(repository, head);
    assert.deepEqual(new Map(root.map((entry) => [entry.path, entry.mode])).get('link.md'), '120000');
    const entry = await installation.findEntry(repository, head, '.github/coatcheck.yml');
    assert.ok(entry);
    assert.equal((await installation.readBlob(repository, entry.sha, 100)).toString(), 'x: 1\n');
    await assert.rejects(installation.readBlob(repository, entry.sha, 2), { code: 'blob_too_large' });
    assert.equal(await installation.findEntry(repository, head, 'src/none.txt'), null);
    assert.equal(await installation.findEntry(repository, head, 'AGENTS.md/x'), null);
  });
});

describe('tokens', () => {
  test('one is made for one repository and the permissions asked for, named without telling it, and revoked', async () => {
    const minted = await github.mintToken(installationId, { repositoryId: repository.id, permissions: { contents: 'read' } });
    const requests = await requested('POST', /\/access_tokens$/);
    assert.deepEqual(requests.at(-1)?.body, { repository_ids: [repository.id], permissions: { contents: 'read' } });
    assert.match(minted.id, /^[\da-f]{12}$/);
    assert.ok(!minted.token.includes(minted.id));
    const stateOf = async () => (await forge.state()).tokens.find((token) => token.token === minted.token);
    assert.deepEqual((await stateOf())?.repositories, [FULL_NAME]);
    assert.equal((await stateOf())?.state, 'live');
    assert.equal(await github.revokeToken(minted.token), true);
    assert.equal((await stateOf())?.state, 'revoked');
    assert.equal(await github.revokeToken(minted.token), true, 'gone is gone');
    const told = notes
      .filter((note) => note.id === minted.id)
      .map((note) => (note.what === 'revoked' ? `revoked ${note.gone}` : note.what));
    assert.deepEqual(told, ['minted', 'revoked true', 'revoked true']);
    assert.ok(!JSON.stringify(notes).includes(minted.token));
  });

  test('two that are made at once are two', async () => {
    const scope = { repositoryId: repository.id, permissions: { contents: 'read' as const } };
    const [a, b] = await Promise.all([github.mintToken(installationId, scope), github.mintToken(installationId, scope)]);
    assert.notEqual(a.token, b.token);
    await github.revokeToken(a.token);
    assert.equal((await forge.state()).tokens.find((token) => token.token === b.token)?.state, 'live');
    await github.revokeToken(b.token);
  });

  test('one for own calls that runs out is renewed', async () => {
    const other = connectGitHub({ appId, privateKey, baseUrl: forge.api, log: silent, onCredential: (note) => notes.push(note) });
    const minted = notes.length;
    await forge.misbehave({ action: { do: 'short_token', lifeMs: 1 } });
    assert.equal((await other.installation(installationId).baseOf(repository)).sha, head);
    assert.deepEqual(
      notes.slice(minted).map((note) => note.what),
      ['minted', 'minted'],
    );
    await other.close();
  });

  test('of another repository is refused', async () => {
    await assert.rejects(github.mintToken(installationId, { repositoryId: 999_999, permissions: { contents: 'read' } }), {
      code: 'github_refused',
    });
  });
});

describe('on an issue', () => {
  test('a label is taken off; one that is not on does no harm', async () => {
    const number = await issue();
    await forge.labelIssue({ repository: FULL_NAME, number, label: 'coatcheck', as: 'ann' });
    assert.equal(await installation.removeLabel(repository, number, 'coatcheck'), true);
    assert.equal(await installation.removeLabel(repository, number, 'coatcheck'), false);
  });

  test('reactions are given once and taken back', async () => {
    const number = await issue();
    const { id } = await forge.comment({ repository: FULL_NAME, number, body: '/coatcheck stop', as: 'ann' });
    for (const target of [
      { kind: 'issue', number },
      { kind: 'comment', id },
    ] as const) {
      await installation.react(repository, target, 'eyes');
      await installation.react(repository, target, 'eyes');
    }
    const now = async () => (await forge.state()).issues.find((known) => known.number === number);
    assert.deepEqual((await now())?.reactions, [{ user: 'coatcheck[bot]', content: 'eyes' }]);
    assert.deepEqual((await now())?.comments[0]?.reactions, [{ user: 'coatcheck[bot]', content: 'eyes' }]);
    await installation.unreact(repository, { kind: 'issue', number }, 'eyes');
    assert.deepEqual((await now())?.reactions, []);
  });

  test('one comment, found again and edited', async () => {
    const number = await issue();
    await forge.comment({ repository: FULL_NAME, number, body: '<!-- coatcheck:status -->', as: 'ann' });
    const made = await installation.createComment(repository, number, 'first', 'status');
    assert.deepEqual(await installation.createComment(repository, number, 'again', 'status'), made);
    await installation.editComment(repository, made.id, 'second', 'status');
    assert.deepEqual(await installation.findComment(repository, number, 'status'), made);
    const comments = (await forge.state()).issues.find((known) => known.number === number)?.comments ?? [];
    assert.deepEqual(
      comments.map((comment) => [comment.author, comment.body]),
      [
        ['ann', '<!-- coatcheck:status -->'],
        ['coatcheck[bot]', 'second\n\n<!-- coatcheck:status -->'],
      ],
    );
  });

  test('one comment, also when the answer was lost', async () => {
    const number = await issue();
    await misbehave('^POST .*/issues/\\{issue_number\\}/comments$', { do: 'drop_after' });
    await installation.createComment(repository, number, 'first', 'status');
    assert.equal((await forge.state()).issues.find((known) => known.number === number)?.comments.length, 1);
  });

  test('a comment that is too long is cut', async () => {
    const number = await issue();
    const made = await installation.createComment(repository, number, 'long line\n'.repeat(10_000), 'status');
    const comments = (await forge.state()).issues.find((known) => known.number === number)?.comments ?? [];
    assert.ok((comments[0]?.body.length ?? 0) > 60_000);
    assert.deepEqual(await installation.findComment(repository, number, 'status'), made);
  });
});

describe('pull requests', () => {
  const wanted = (name: string, draft = false) => ({ title: 'Fix it', body: 'What and why', head: name, base: 'trunk', draft });
  const pulls = async (name: string) => (await forge.state()).issues.filter((known) => known.pull?.head === name);

  test('one is opened, and found again rather than opened twice', async () => {
    const { name } = await branch();
    assert.equal(await installation.findPullRequest(repository, name), null);
    const opened = await installation.createPullRequest(repository, wanted(name, true));
    assert.ok(opened.kind === 'opened' && !opened.found && opened.draft);
    const again = await installation.createPullRequest(repository, wanted(name, true));
    assert.deepEqual(again, { ...opened, found: true });
    assert.equal((await pulls(name)).length, 1);
  });

  for (const [what, action] of Object.entries({
    'the answer was lost': { do: 'drop_after' },
    'the connection broke before': { do: 'drop_before' },
    'GitHub answered 502': { do: 'answer', status: 502, body: { message: 'Bad Gateway' } },
    'of a secondary limit': {
      do: 'answer',
      status: 403,
      headers: { 'retry-after': '2' },
      body: { message: 'You have exceeded a secondary rate limit' },
    },
  } as const)) {
    test(`one is opened, also when ${what}`, async () => {
      const { name } = await branch();
      const { id } = await misbehave('^POST .*/pulls$', action);
      const opened = await installation.createPullRequest(repository, wanted(name));
      assert.ok(opened.kind === 'opened');
      assert.equal((await pulls(name)).length, 1);
      assert.equal((await forge.state()).misbehaviour.find((rule) => rule.id === id)?.hits, 1);
    });
  }

  test('one is opened, also when somebody is faster between looking and opening', async () => {
    const { name } = await branch();
    const { id } = await misbehave('^POST .*/pulls$', { do: 'hold' });
    const slow = installation.createPullRequest(repository, wanted(name));
    await forge.waitFor((now) => now.misbehaviour.some((rule) => rule.id === id && rule.holding === 1));
    const fast = await installation.createPullRequest(repository, wanted(name));
    await forge.release(id);
    assert.ok(fast.kind === 'opened' && !fast.found);
    assert.deepEqual(await slow, { ...fast, found: true });
    assert.equal((await pulls(name)).length, 1);
  });

  test('where drafts are not to be had, it says so and opens none', async () => {
    const made = await forge.createRepository({ owner: 'acme', name: 'nodrafts', drafts: false, files: { 'a.txt': 'a' } });
    await forge.pushCommit({ repository: 'acme/nodrafts', branch: 'x', files: { 'b.txt': 'b' }, message: 'b', as: 'acme' });
    const other = { id: made.id, owner: 'acme', name: 'nodrafts' };
    const draft = { title: 't', body: 'b', head: 'x', base: 'main', draft: true };
    assert.deepEqual(await installation.createPullRequest(other, draft), { kind: 'draft_unavailable' });
    const plain = await installation.createPullRequest(other, { ...draft, draft: false });
    assert.ok(plain.kind === 'opened' && !plain.draft);
  });

  test('a branch is seen and deleted with a token of its own, which is revoked', async () => {
    const { name, sha } = await branch();
    assert.equal(await installation.branchHead(repository, name), sha);
    assert.equal(await installation.deleteBranch(repository, name), true);
    assert.equal(await installation.branchHead(repository, name), null);
    assert.equal(await installation.deleteBranch(repository, name), false);
    const writers = (await forge.state()).tokens.filter((token) => token.permissions['contents'] === 'write');
    assert.ok(writers.length > 0 && writers.every((token) => token.state === 'revoked'));
  });
});

describe('check runs', () => {
  const output = { title: 'Verified', summary: 'all passed', text: 'x'.repeat(80_000) };
  const runs = async (externalId: string) => (await forge.state()).checkRuns.filter((run) => run.externalId === externalId);

  test('one is made and brought to its end', async () => {
    const made = await installation.createCheckRun(repository, {
      name: 'coatcheck',
      headSha: head,
      externalId: 'task-1',
      status: 'in_progress',
      output,
    });
    await installation.updateCheckRun(repository, made.id, { status: 'completed', conclusion: 'success', output });
    const [run, ...more] = await runs('task-1');
    assert.deepEqual([run?.status, run?.conclusion, run?.headSha, more.length], ['completed', 'success', head, 0]);
    assert.ok((run?.text?.length ?? 0) <= 65_535);
  });

  test('one is made, also when the answer was lost', async () => {
    await misbehave('^POST .*/check-runs$', { do: 'drop_after' });
    const wanted = { name: 'coatcheck', headSha: head, externalId: 'task-2', status: 'in_progress', output } as const;
    const made = await installation.createCheckRun(repository, wanted);
    assert.equal((await installation.createCheckRun(repository, wanted)).id, made.id);
    assert.equal((await runs('task-2')).length, 1);
  });
});

describe('deliveries', () => {
  const settings = async () => {
    const self = await github.self();
    return { label: 'coatcheck', assignee: null, appId: self.appId, appSlug: self.slug, botUserId: self.botUserId };
  };
  /** The delivery of a label on a new issue, once the forge has its answer. */
  async function labelled(): Promise<{ number: number; guid: string }> {
    const number = await issue();
    const known = new Set((await forge.state()).deliveries.map((delivery) => delivery.guid));
    await forge.labelIssue({ repository: FULL_NAME, number, label: 'coatcheck', as: 'ann' });
    const label = (delivery: { guid: string; event: string; action: string | null; status: string }) =>
      !known.has(delivery.guid) && delivery.action === 'labeled' && delivery.status !== 'pending';
    const state = await forge.waitFor((now) => now.deliveries.some(label));
    return { number, guid: state.deliveries.find(label)?.guid ?? '' };
  }

  test('a label arrives signed, and is a task; our own taking it off is not', async () => {
    const { number, guid } = await labelled();
    const taken = webhooks.taken.find((delivery) => delivery.guid === guid);
    assert.ok(taken);
    const trigger = readDelivery(taken.event, taken.payload, await settings());
    assert.ok(trigger.kind === 'task');
    assert.deepEqual(
      [trigger.issue.number, trigger.actor.login, trigger.label, trigger.repository.defaultBranch, trigger.installation],
      [number, 'ann', 'coatcheck', 'trunk', installationId],
    );
    await installation.removeLabel(repository, number, 'coatcheck');
    await forge.waitFor((now) =>
      now.deliveries.some((delivery) => delivery.action === 'unlabeled' && delivery.statusCode === 200),
    );
    const own = webhooks.taken.filter((delivery) => JSON.stringify(delivery.payload).includes('"action":"unlabeled"')).at(-1);
    assert.ok(own);
    assert.deepEqual(readDelivery(own.event, own.payload, await settings()), { kind: 'ignored', why: 'own action' });
  });

  test('one that was lost is found by polling, once, with the digest it would have had', async () => {
    await misbehave('^issues\\.labeled$', { do: 'lose_webhook' });
    const since = new Date(Date.now() - 10 * 60_000);
    const { guid } = await labelled();
    assert.ok(!webhooks.taken.some((delivery) => delivery.guid === guid));
    await forge.redeliver(guid);
    await forge.waitFor(
      (now) => now.deliveries.filter((delivery) => delivery.guid === guid && delivery.status !== 'pending').length === 2,
    );
    const found: Delivery[] = [];
    const once = { since, signal: AbortSignal.timeout(20_000), once: true, events: new Set(['issues']) };
    for await (const delivery of github.pollDeliveries(once)) if (delivery.guid === guid) found.push(toDelivery(delivery));
    assert.equal(found.length, 1);
    assert.deepEqual(
      found[0],
      webhooks.taken.find((delivery) => delivery.guid === guid),
    );
  });

  test('one whose content cannot be fetched is fetched later, and keeps the others from nothing', async () => {
    const abort = new AbortController();
    const { guid } = await labelled();
    const { id } = await misbehave('^GET /app/hook/deliveries/\\{delivery_id\\}$', { do: 'answer', status: 500, body: {} }, 4);
    const since = new Date(Date.now() - 10 * 60_000);
    const all = new Set((await forge.state()).deliveries.map((delivery) => delivery.guid));
    const guids: string[] = [];
    for await (const delivery of github.pollDeliveries({ since, signal: abort.signal, intervalMs: 20 })) {
      guids.push(delivery.guid);
      if (guids.length === all.size) abort.abort();
    }
    assert.equal((await forge.state()).misbehaviour.find((rule) => rule.id === id)?.hits, 4);
    assert.equal(new Set(guids).size, guids.length);
    assert.ok(guids.includes(guid));
  });

  test('polling goes on after trouble, and ends with its signal', async () => {
    const abort = new AbortController();
    const troubles: string[] = [];
    await misbehave('^GET /app/hook/deliveries$', { do: 'answer', status: 500, body: { message: 'broken' } }, 5);
    const since = new Date(Date.now() - 60_000);
    const polled = github.pollDeliveries({
      since,
      signal: abort.signal,
      intervalMs: 20,
      onTrouble: (text) => troubles.push(text),
    });
    const first = await polled.next();
    assert.equal(first.done, false);
    assert.equal(troubles.length, 1);
    const { guid } = await labelled();
    for await (const delivery of polled) if (delivery.guid === guid) abort.abort();
    assert.ok(abort.signal.aborted);
  });
});

test('at the end no token is live', async () => {
  await github.close();
  assert.deepEqual(
    (await forge.state()).tokens.filter((token) => token.state === 'live'),
    [],
  );
});
