import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { CoatcheckError } from '../../src/errors.ts';
import { connectGitHub } from '../../src/github/github.ts';
import { localGitHub, privateKey, type Reply, type Seen, silent } from './local-github.ts';

const repository = { id: 3, owner: 'acme', name: 'sample' };
const SECOND_MS = 40;

async function connected(t: TestContext, answer: (seen: Seen, nth: number) => Reply, timeoutMs = 5000) {
  const server = await localGitHub(answer);
  t.after(() => server.close());
  const github = connectGitHub({ appId: 7, privateKey, baseUrl: server.url, log: silent, secondMs: SECOND_MS, timeoutMs });
  return { server, github, installation: github.installation(1) };
}

const head: Reply = { status: 200, body: { ref: 'refs/heads/x', object: { sha: 'a'.repeat(40), type: 'commit', url: '' } } };
const REF = /\/git\/ref\//;

describe('GitHub disturbed', () => {
  for (const [name, trouble] of Object.entries<Reply>({
    'a 502': { status: 502, body: { message: 'Bad Gateway' } },
    'a connection that breaks off before the answer': { status: 0, drop: 'before' },
    'an answer that breaks off': { status: 200, drop: 'body' },
    'no answer within the limit': { status: 0, hang: true },
  })) {
    test(`a read is repeated after ${name}`, async (t) => {
      const { server, installation } = await connected(t, (_, nth) => (nth === 0 ? trouble : head), 400);
      assert.equal(await installation.branchHead(repository, 'x'), 'a'.repeat(40));
      assert.equal(server.of('GET', REF).length, 2);
    });
  }

  test('a read is given up after four tries', async (t) => {
    const { server, installation } = await connected(t, () => ({ status: 503, body: { message: 'no' } }));
    await assert.rejects(installation.branchHead(repository, 'x'), { code: 'github_unavailable' });
    assert.equal(server.of('GET', REF).length, 4);
  });

  for (const [name, limit] of Object.entries<Reply>({
    'secondary limit, 403': {
      status: 403,
      headers: { 'retry-after': '5' },
      body: { message: 'You have exceeded a secondary rate limit.' },
    },
    'secondary limit, 429': {
      status: 429,
      headers: { 'retry-after': '5' },
      body: { message: 'You have exceeded a secondary rate limit.' },
    },
    'primary limit': {
      status: 403,
      headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(Math.floor(Date.now() / 1000) + 5) },
      body: { message: 'API rate limit exceeded' },
    },
  })) {
    test(`the wait that GitHub asks for is kept, also by a POST: ${name}`, async (t) => {
      const { server, installation } = await connected(t, (_, nth) => (nth === 0 ? limit : { status: 201, body: { id: 5 } }));
      assert.deepEqual(await installation.react(repository, { kind: 'issue', number: 1 }, 'eyes'), { id: 5 });
      const [first, second, ...more] = server.of('POST', /reactions/);
      assert.ok(first && second && more.length === 0);
      // The primary limit's reset is given in whole seconds: one may have begun already.
      assert.ok(second.at - first.at >= 3.5 * SECOND_MS, `called again after ${second.at - first.at} ms`);
    });
  }

  test('a wait of more than five minutes is not waited for', async (t) => {
    const limit = { status: 429, headers: { 'retry-after': '3600' }, body: { message: 'secondary rate limit' } };
    const { server, installation } = await connected(t, () => limit);
    await assert.rejects(installation.branchHead(repository, 'x'), { code: 'github_rate_limited' });
    assert.equal(server.of('GET', REF).length, 1);
  });

  test('whoever gives up is let go at once, in a wait too', async (t) => {
    const limit = { status: 429, headers: { 'retry-after': '20' }, body: { message: 'secondary rate limit' } };
    const { github } = await connected(t, () => limit);
    const why = new Error('enough');
    const abort = new AbortController();
    const reading = github.installation(1, abort.signal).branchHead(repository, 'x');
    setTimeout(() => abort.abort(why), 50);
    const started = performance.now();
    await assert.rejects(reading, (error) => error === why);
    assert.ok(performance.now() - started < 500);
  });

  test('a pull request is refused with GitHub’s reason, and not tried again', async (t) => {
    const { server, installation } = await connected(t, ({ method }) =>
      method === 'GET'
        ? { status: 200, body: [] }
        : { status: 422, body: { message: 'Validation Failed', errors: [{ message: 'No commits between main and x' }] } },
    );
    const opening = installation.createPullRequest(repository, { title: 't', body: 'b', head: 'x', base: 'main', draft: false });
    await assert.rejects(
      opening,
      (error) => error instanceof CoatcheckError && error.code === 'github_refused' && /No commits between/.test(error.message),
    );
    assert.equal(server.of('POST', /pulls/).length, 1);
  });

  test('a POST whose answer was lost is not repeated before it was looked for', async (t) => {
    let made = 0;
    const { server, installation } = await connected(t, ({ method }) => {
      if (method === 'POST') {
        made += 1;
        return { status: 0, drop: 'before' };
      }
      return {
        status: 200,
        body: made === 0 ? [] : [{ id: 9, html_url: 'u', body: '<!-- coatcheck:k -->', user: { login: 'coat[bot]' } }],
      };
    });
    assert.deepEqual(await installation.createComment(repository, 1, 'hello', 'k'), { id: 9, url: 'u' });
    assert.equal(made, 1);
    assert.equal(server.of('GET', /comments/).length, 2);
  });

  test('others’ comments with our marker are not ours', async (t) => {
    const { installation } = await connected(t, ({ method }) =>
      method === 'POST'
        ? { status: 201, body: { id: 10, html_url: 'own' } }
        : { status: 200, body: [{ id: 9, html_url: 'u', body: '<!-- coatcheck:k -->', user: { login: 'mallory' } }] },
    );
    assert.deepEqual(await installation.createComment(repository, 1, 'hello', 'k'), { id: 10, url: 'own' });
  });

  test('a token that GitHub refuses is renewed, once', async (t) => {
    let refused = '';
    const { server, installation } = await connected(t, ({ authorization }, nth) => {
      if (nth === 0) refused = authorization;
      return authorization === refused ? { status: 401, body: { message: 'Bad credentials' } } : head;
    });
    assert.equal(await installation.branchHead(repository, 'x'), 'a'.repeat(40));
    assert.equal(server.of('POST', /access_tokens/).length, 2);
  });

  test('a token that GitHub always refuses is an error', async (t) => {
    const { installation } = await connected(t, () => ({ status: 401, body: { message: 'Bad credentials for ghs_secret' } }));
    await assert.rejects(installation.branchHead(repository, 'x'), (error) => {
      assert.ok(error instanceof CoatcheckError);
      assert.equal(error.code, 'github_unauthorized');
      assert.doesNotMatch(error.message, /ghs_secret/);
      return true;
    });
  });

  test('a token that is gone counts as revoked; one whose end is not known does not', async (t) => {
    const { github } = await connected(t, () => head);
    assert.equal(await github.revokeToken('ghs_x'), true);
  });
});

describe('permission', () => {
  const asked = async (t: TestContext, body: object, login = 'ann', id?: number) => {
    const { installation } = await connected(t, () => ({ status: 200, body }));
    return installation.permissionOf(repository, login, id);
  };
  const user = { id: 5, login: 'ann', type: 'User' };

  test('is the role, also one of the organisation’s own making', async (t) => {
    assert.equal(await asked(t, { permission: 'write', role_name: 'maintain', user }), 'maintain');
    assert.equal(await asked(t, { permission: 'read', role_name: 'triage', user }), 'triage');
    assert.equal(await asked(t, { permission: 'write', role_name: 'release-crew', user }), 'write');
  });

  test('is none for bots, strangers and whoever took over a login', async (t) => {
    assert.equal(await asked(t, { permission: 'admin', role_name: 'admin', user }, 'some[bot]'), 'none');
    assert.equal(await asked(t, { permission: 'admin', role_name: 'admin', user: { ...user, type: 'Bot' } }), 'none');
    assert.equal(await asked(t, { permission: 'admin', role_name: 'admin', user }, 'ann', 6), 'none');
    assert.equal(await asked(t, { permission: 'admin', role_name: 'admin', user }, 'ann', 5), 'admin');
    const { installation } = await connected(t, () => ({ status: 404, body: { message: 'Not Found' } }));
    assert.equal(await installation.permissionOf(repository, 'nobody'), 'none');
  });
});
