import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, type TestContext, test } from 'node:test';
import { type NewApp, setupPages } from '../../src/github/setup-page.ts';
import { localGitHub, privateKey } from './local-github.ts';

const appFile = await readFile(new URL('../../app.yml', import.meta.url), 'utf8');
const TOKEN = 'setup-token-setup-token-setup-token';

async function opened(t: TestContext) {
  const made = {
    id: 7,
    slug: 'coat',
    html_url: 'https://github.test/apps/coat',
    owner: { login: 'acme' },
    pem: privateKey,
    webhook_secret: 'a long webhook secret',
    client_id: 'Iv1.x',
    client_secret: 'client secret',
  };
  const server = await localGitHub(({ path }) =>
    path === '/api/v3/app-manifests/goodcode/conversions'
      ? { status: 201, body: made }
      : { status: 404, body: { message: 'Not Found' } },
  );
  t.after(() => server.close());
  const saved: NewApp[] = [];
  const app = setupPages({
    appFile,
    publicUrl: 'https://coat.test',
    hookUrl: 'https://coat.test/api/github/webhooks',
    apiUrl: `${server.url}/api/v3`,
    setupToken: TOKEN,
    configured: () => saved.length > 0,
    save: async (credentials) => void saved.push(credentials),
  });
  const get = (path: string, host = 'coat.test') => app.request(`https://coat.test${path}`, { headers: { host } });
  const form = async (path = `/setup?token=${TOKEN}`) => {
    const text = await (await get(path)).text();
    const action = /<form action="([^"]+)" method="post">/.exec(text)?.[1] ?? '';
    const manifest = JSON.parse(
      (/name="manifest" value="([^"]+)"/.exec(text)?.[1] ?? '').replaceAll('&quot;', '"').replaceAll('&amp;', '&'),
    );
    return { action, manifest, state: new URL(action).searchParams.get('state') ?? '' };
  };
  return { get, form, saved, server };
}

describe('first start', () => {
  test('makes the App and keeps its credentials, once', async (t) => {
    const { get, form, saved, server } = await opened(t);
    const { action, manifest, state } = await form();
    assert.ok(action.startsWith(`${server.url}/settings/apps/new?state=`));
    assert.equal(manifest.default_permissions.contents, 'write');
    assert.equal(manifest.hook_attributes.url, 'https://coat.test/api/github/webhooks');
    const done = await get(`/setup/callback?code=goodcode&state=${state}`);
    assert.equal(done.status, 200);
    const text = await done.text();
    assert.match(text, /https:\/\/github\.test\/apps\/coat\/installations\/new/);
    assert.doesNotMatch(text, /PRIVATE KEY|webhook secret|client secret/);
    assert.deepEqual(saved, [
      {
        appId: 7,
        slug: 'coat',
        url: 'https://github.test/apps/coat',
        owner: 'acme',
        privateKey,
        webhookSecret: 'a long webhook secret',
        clientId: 'Iv1.x',
        clientSecret: 'client secret',
      },
    ]);
    assert.equal((await get(`/setup?token=${TOKEN}`)).status, 404);
    assert.equal((await get(`/setup/callback?code=goodcode&state=${state}`)).status, 404);
  });

  test('for an organisation', async (t) => {
    const { form, get } = await opened(t);
    assert.match(
      (await form(`/setup?token=${TOKEN}&organisation=acme-inc`)).action,
      /\/organizations\/acme-inc\/settings\/apps\/new\?/,
    );
    assert.equal((await get(`/setup?token=${TOKEN}&organisation=..%2Fx`)).status, 400);
  });

  test('is nobody’s without the token, under another name, or with a state of others', async (t) => {
    const { get, form, saved } = await opened(t);
    assert.equal((await get('/setup')).status, 403);
    assert.equal((await get('/setup?token=wrong')).status, 403);
    assert.equal((await get(`/setup?token=${TOKEN}`, 'evil.test')).status, 421);
    assert.equal((await get('/setup/callback?code=goodcode&state=made-up')).status, 403);
    const { state } = await form();
    assert.equal((await get(`/setup/callback?code=goodcode&state=${state}`, 'evil.test')).status, 421);
    assert.equal((await get(`/setup/callback?code=..%2F&state=${state}`)).status, 400);
    assert.equal((await get(`/setup/callback?code=goodcode&state=${state}`)).status, 403, 'a state is good once');
    assert.equal(saved.length, 0);
  });

  test('a code that GitHub does not know sets nothing up', async (t) => {
    const { get, form, saved } = await opened(t);
    assert.equal((await get(`/setup/callback?code=badcode&state=${(await form()).state}`)).status, 502);
    assert.equal(saved.length, 0);
  });

  test('is not cached, embedded or told to others', async (t) => {
    const { get } = await opened(t);
    const { headers } = await get(`/setup?token=${TOKEN}`);
    assert.equal(headers.get('cache-control'), 'no-store');
    assert.equal(headers.get('referrer-policy'), 'no-referrer');
    assert.match(headers.get('content-security-policy') ?? '', /default-src 'none'.*frame-ancestors 'none'/);
  });
});
