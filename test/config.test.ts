import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { childEnvironment, modelEndpoint, readConfig } from '../src/config.ts';
import { CoatcheckError } from '../src/errors.ts';

/** What a person is told about an environment; empty when it is taken. */
function refusal(environment: Record<string, string>): string {
  try {
    readConfig(environment);
    return '';
  } catch (error) {
    assert.ok(error instanceof CoatcheckError);
    assert.equal(error.code, 'environment_invalid');
    return error.toString();
  }
}

const APP = { APP_ID: '7', PRIVATE_KEY: 'line 1\\nline 2', WEBHOOK_SECRET: 'a webhook secret' };

test('nothing set is a deployment on loopback, without any secret', () => {
  const config = readConfig({});
  assert.deepEqual(config.listen, { host: '127.0.0.1', port: 3000 });
  assert.equal(config.githubApiUrl, 'https://api.github.com');
  assert.deepEqual([config.app, config.hostKey, config.redisUrl, config.upstreamProxy], [null, null, null, null]);
  assert.equal(config.openPages, false);
  assert.equal(config.leaseMs, 15_000);
});

test('a variable that is set to nothing counts as not set', () => {
  assert.equal(readConfig({ REDIS_URL: '', APP_ID: '', COATCHECK_LISTEN: '' }).redisUrl, null);
});

describe('what cannot be used', () => {
  const bad: Record<string, string> = {
    COATCHECK_LISTEN: 'nowhere',
    COATCHECK_DELIVERIES: 'pigeon',
    COATCHECK_OPEN_PAGES: 'yes',
    COATCHECK_PUBLIC_URL: 'ftp://x.test',
    COATCHECK_CONTROL_URL: 'x.test',
    COATCHECK_HOST_KEY: 'short',
    COATCHECK_HOST_SLOTS: '0',
    COATCHECK_LEASE_MS: '10',
    COATCHECK_LOG_LEVEL: 'loud',
    GITHUB_API_URL: 'api.github.com',
    APP_ID: 'seven',
    REDIS_URL: 'http://x.test',
    DOCKER_HOST: 'tcp://10.0.0.1:2375',
  };
  for (const [name, value] of Object.entries(bad)) {
    test(`${name}=${value} is refused by name`, () => assert.match(refusal({ ...APP, [name]: value }), new RegExp(name)));
  }

  test('all of it is named at once', () => {
    const said = refusal(bad);
    for (const name of Object.keys(bad)) assert.match(said, new RegExp(name));
  });

  test('no value of a secret is repeated', () => {
    assert.doesNotMatch(refusal({ COATCHECK_HOST_KEY: 'hunter2', COATCHECK_LISTEN: 'x' }), /hunter2/);
  });
});

test('DATABASE_URL is refused, as there is one store', () => {
  assert.match(refusal({ DATABASE_URL: 'postgres://x.test/coatcheck' }), /DATABASE_URL .*Unset DATABASE_URL/);
});

describe('open pages', () => {
  test('are for loopback listeners only', () => {
    for (const listen of ['127.0.0.1:3000', '[::1]:3000', 'localhost:3000'])
      assert.equal(refusal({ COATCHECK_OPEN_PAGES: 'true', COATCHECK_LISTEN: listen }), '', listen);
    for (const listen of ['0.0.0.0:3000', '[::]:3000', '10.1.2.3:80', 'coat.test:80', '127.0.0.2.evil.test:80'])
      assert.match(refusal({ COATCHECK_OPEN_PAGES: 'true', COATCHECK_LISTEN: listen }), /COATCHECK_OPEN_PAGES/, listen);
  });
});

describe('the App', () => {
  test('comes whole or not at all', () => {
    assert.deepEqual(readConfig(APP).app, { appId: 7, privateKey: 'line 1\nline 2', webhookSecret: 'a webhook secret' });
    for (const name of ['APP_ID', 'PRIVATE_KEY', 'WEBHOOK_SECRET'])
      assert.match(refusal({ ...APP, [name]: '' }), /only partly set/, name);
  });

  test('may have its key in a file', async (t) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'coatcheck-config-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const file = path.join(folder, 'key.pem');
    await writeFile(file, 'the key');
    assert.equal(readConfig({ ...APP, PRIVATE_KEY: '', PRIVATE_KEY_PATH: file }).app?.privateKey, 'the key');
    assert.match(refusal({ ...APP, PRIVATE_KEY: '', PRIVATE_KEY_PATH: `${file}.no` }), /PRIVATE_KEY_PATH/);
  });
});

test('addresses lose their trailing slashes', () => {
  const config = readConfig({ COATCHECK_PUBLIC_URL: 'https://coat.test/x//', GITHUB_API_URL: 'https://ghe.test/api/v3/' });
  assert.deepEqual([config.publicUrl, config.githubApiUrl], ['https://coat.test/x', 'https://ghe.test/api/v3']);
});

test('children inherit nothing secret', () => {
  const environment = childEnvironment({ GIVEN: '1' }, { PATH: '/bin', ...APP, MODEL_KEY: 'k', NODE_OPTIONS: '--inspect' });
  assert.deepEqual(environment, { PATH: '/bin', GIVEN: '1' });
});

test('a model’s endpoint is found by its vendor’s variables, or named as missing', () => {
  const keys = { ANTHROPIC_API_KEY: 'a', OPENAI_API_KEY: 'o', OPENAI_BASE_URL: 'http://127.0.0.1:1/v1/' };
  assert.deepEqual(modelEndpoint('claude-x', keys), {
    dialect: 'anthropic-messages',
    baseUrl: 'https://api.anthropic.com',
    apiKey: 'a',
  });
  assert.deepEqual(modelEndpoint('gpt-x', keys), { dialect: 'openai-chat', baseUrl: 'http://127.0.0.1:1/v1', apiKey: 'o' });
  assert.throws(() => modelEndpoint('gpt-x', {}), { code: 'model_key_missing' });
});
