import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { type Accept, createWebhookHandler, type Delivery, toDelivery, WEBHOOK_PATH } from '../src/app.ts';
import { privateKey, silent } from './github/local-github.ts';

const SECRET = 'a secret of the webhook';
const GUID = '72d3162e-cc78-11e3-81ab-4c9367dc0958';
const payload = JSON.stringify({ action: 'labeled', installation: { id: 8 }, text: 'é 😀' });

const sign = (body: string, secret = SECRET, algorithm = 'sha256'): string =>
  `${algorithm}=${createHmac(algorithm, secret).update(body).digest('hex')}`;

const headers = (body: string, change: Record<string, string | undefined> = {}): Record<string, string> => {
  const all: Record<string, string | undefined> = {
    'content-type': 'application/json',
    'x-github-delivery': GUID,
    'x-github-event': 'issues',
    'x-hub-signature-256': sign(body),
    ...change,
  };
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined));
};

async function served(t: TestContext, options: { accept?: Accept; bodyLimit?: number } = {}) {
  const taken: Delivery[] = [];
  const accept: Accept = options.accept ?? (async (delivery) => taken.push(delivery));
  const handler = await createWebhookHandler({ appId: 7, privateKey, secret: SECRET, log: silent, ...options, accept });
  const server = createServer((request, response) => void handler(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const post = async (body: string, change?: Record<string, string | undefined>, path = WEBHOOK_PATH): Promise<number> =>
    (await fetch(origin + path, { method: 'POST', body, headers: headers(body, change) })).status;
  return { taken, origin, post };
}

describe('deliveries over HTTP', () => {
  test('a signed one is taken, as it is', async (t) => {
    const { taken, post } = await served(t);
    assert.equal(await post(payload), 200);
    assert.equal(await post(payload, { 'content-type': 'application/json; charset=utf-8' }), 200);
    assert.deepEqual(taken[0], toDelivery({ guid: GUID, event: 'issues', payload: JSON.parse(payload) }));
    assert.match(taken[0]?.payloadDigest ?? '', /^[\da-f]{64}$/);
    assert.equal(taken.length, 2);
  });

  test('an event that nobody knew when this was written is taken too', async (t) => {
    const { taken, post } = await served(t);
    assert.equal(await post(payload, { 'x-github-event': 'brand_new' }), 200);
    assert.equal(taken[0]?.event, 'brand_new');
  });

  test('the digest does not depend on how the JSON is written', () => {
    const a = toDelivery({ guid: GUID, event: 'issues', payload: { b: [1, 'é'], a: { y: null, x: 1.5 } } });
    const b = toDelivery({ guid: GUID, event: 'issues', payload: JSON.parse('{"a":{"x":1.50,"y":null},"b":[1,"\\u00e9"]}') });
    const c = toDelivery({ guid: GUID, event: 'issues', payload: { b: [1, 'e'], a: { y: null, x: 1.5 } } });
    assert.equal(a.payloadDigest, b.payloadDigest);
    assert.notEqual(a.payloadDigest, c.payloadDigest);
  });

  const refusals: Record<string, [number, string, Record<string, string | undefined>]> = {
    'a signature by another secret': [401, payload, { 'x-hub-signature-256': sign(payload, 'another secret') }],
    'a signature by the word that Probot falls back to': [401, payload, { 'x-hub-signature-256': sign(payload, 'development') }],
    'a signature of another body': [401, payload, { 'x-hub-signature-256': sign(`${payload} `) }],
    'no signature': [401, payload, { 'x-hub-signature-256': undefined }],
    'a SHA-1 signature only': [
      401,
      payload,
      { 'x-hub-signature-256': undefined, 'x-hub-signature': sign(payload, SECRET, 'sha1') },
    ],
    'a SHA-1 signature in the place of the right one': [401, payload, { 'x-hub-signature-256': sign(payload, SECRET, 'sha1') }],
    'an empty signature': [401, payload, { 'x-hub-signature-256': 'sha256=' }],
    'a form': [415, payload, { 'content-type': 'application/x-www-form-urlencoded' }],
    'no content type': [415, payload, { 'content-type': 'text/plain' }],
    compression: [415, payload, { 'content-encoding': 'gzip' }],
    'no GUID': [400, payload, { 'x-github-delivery': undefined }],
    'a GUID with other characters': [400, payload, { 'x-github-delivery': '../x' }],
    'no event': [400, payload, { 'x-github-event': undefined }],
    'text that is no JSON': [400, '{', {}],
    'JSON that is no object': [400, '[1]', {}],
    null: [400, 'null', {}],
    'a body over the limit': [413, JSON.stringify({ text: 'x'.repeat(5000) }), {}],
  };
  for (const [name, [status, body, change]] of Object.entries(refusals)) {
    test(`nothing is taken: ${name}`, async (t) => {
      const { taken, post } = await served(t, { bodyLimit: 4096 });
      assert.equal(await post(body, change), status);
      assert.equal(taken.length, 0);
      assert.equal(await post(payload), 200);
      assert.equal(taken.length, 1);
    });
  }

  test('nothing is taken: other paths and methods', async (t) => {
    const { taken, post, origin } = await served(t);
    assert.equal(await post(payload, {}, '/'), 404);
    assert.equal((await fetch(origin + WEBHOOK_PATH)).status, 405);
    assert.equal(taken.length, 0);
  });

  test('a body that never says how long it is, is cut off at the limit', async (t) => {
    const { taken, origin } = await served(t, { bodyLimit: 100_000 });
    const sending = httpRequest(origin + WEBHOOK_PATH, { method: 'POST', headers: headers(payload) });
    sending.on('error', () => undefined); // the server hangs up on what it will not read
    const flood = setInterval(() => sending.write('x'.repeat(50_000)), 1);
    t.after(() => clearInterval(flood));
    const [response] = await once(sending, 'response');
    clearInterval(flood);
    assert.equal(response.statusCode, 413);
    response.resume();
    sending.destroy();
    assert.equal(taken.length, 0);
  });

  test('what could not be kept is answered with 503, and told again when it can', async (t) => {
    let up = false;
    const { post } = await served(t, {
      accept: async () => {
        if (!up) throw new Error('no store');
      },
    });
    assert.equal(await post(payload), 503);
    up = true;
    assert.equal(await post(payload), 200);
  });

  test('does not start without a secret', async () => {
    for (const secret of ['', 'development']) {
      const starting = createWebhookHandler({ appId: 7, privateKey, secret, log: silent, accept: async () => undefined });
      await assert.rejects(starting, { code: 'webhook_secret_missing' });
    }
  });
});
