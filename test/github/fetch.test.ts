import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import 'reflect-metadata';
import { X509CertificateGenerator } from '@peculiar/x509';
import { boundedFetch, openNetwork } from '../../src/github/fetch.ts';

async function listen(t: TestContext, server: Server | ReturnType<typeof createTlsServer>): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return (server.address() as AddressInfo).port;
}

/** A forward proxy that counts what it was asked for. */
async function proxy(t: TestContext) {
  const asked: string[] = [];
  const server = createServer();
  server.on('connect', (request, socket, head) => {
    asked.push(request.url ?? '');
    const [host = '', port = ''] = (request.url ?? '').split(':');
    const upstream = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      upstream.write(head);
      socket.pipe(upstream).pipe(socket);
    });
    for (const end of [socket, upstream]) end.on('error', () => [socket, upstream].map((one) => one.destroy()));
    t.after(() => [socket, upstream].map((one) => one.destroy()));
  });
  return { asked, url: `http://127.0.0.1:${await listen(t, server)}` };
}

async function certificate() {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const made = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=127.0.0.1',
    keys,
    signingAlgorithm: algorithm,
    extensions: [new (await import('@peculiar/x509')).SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }])],
  });
  const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return { cert: made.toString('pem'), key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n` };
}

describe('the network of a company', () => {
  test('its authority and its proxy are used, and left where they are not to be used', async (t) => {
    const { cert, key } = await certificate();
    const port = await listen(
      t,
      createTlsServer({ cert, key }, (_, response) => response.end('hello')),
    );
    const { asked, url } = await proxy(t);
    const get = async (authorities: string, httpsProxy: string | null, noProxy = ''): Promise<string> => {
      const network = openNetwork({ httpProxy: null, httpsProxy, noProxy, authorities });
      t.after(() => network.close());
      return (await network.fetch(`https://127.0.0.1:${port}/`, {})).text();
    };
    await assert.rejects(get('', null), 'a certificate of an unknown authority is refused');
    assert.equal(await get(cert, null), 'hello');
    assert.deepEqual(asked, []);
    assert.equal(await get(cert, url), 'hello');
    assert.deepEqual(asked, [`127.0.0.1:${port}`]);
    assert.equal(await get(cert, url, '127.0.0.1'), 'hello');
    assert.equal(asked.length, 1);
  });
});

describe('a request', () => {
  test('has a time limit of its own, and the caller’s wish is known from it', async (t) => {
    const port = await listen(
      t,
      createServer(() => undefined),
    );
    const fetch = boundedFetch(globalThis.fetch, 50);
    await assert.rejects(fetch(`http://127.0.0.1:${port}/`), { name: 'TimeoutError' });
    const abort = new AbortController();
    const asking = boundedFetch(globalThis.fetch, 5000)(`http://127.0.0.1:${port}/`, { signal: abort.signal });
    abort.abort(new Error('enough'));
    await assert.rejects(asking, { name: 'AbortError' });
  });
});
