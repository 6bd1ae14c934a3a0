import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { DOOR_TIMINGS } from '../../src/door/door.ts';
import { Upstreams } from '../../src/door/upstream.ts';
import { InspectRule } from '../../src/policy/egress.ts';

const configuration = { authorities: '', upstreamProxy: null, timings: DOOR_TIMINGS };

test('a name is resolved once, and the checked address is the one that is dialled', async (t) => {
  const reached: string[] = [];
  const server = createServer((request, response) => {
    reached.push(request.socket.localAddress ?? '');
    response.end();
  }).listen(0, '0.0.0.0');
  t.after(() => server.close());
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  let asked = 0;
  const hosts: Record<string, string> = {};
  // An allowed address at first, and a refused one for whoever asks again.
  Object.defineProperty(hosts, 'rebind.test', { enumerable: true, get: () => (asked++ === 0 ? '127.0.0.2' : '127.0.0.1') });
  const upstreams = new Upstreams({ ...configuration, hosts });
  t.after(() => upstreams.close());
  const rule = InspectRule.parse({ id: 'r', host: 'rebind.test', ports: [address.port], privateAddresses: ['127.0.0.2/32'] });
  const target = { tls: false, host: 'rebind.test', port: address.port, method: 'GET', path: '/', headers: {} };
  const first = upstreams.egress(rule, target);
  first.end();
  const [response]: IncomingMessage[] = await once(first, 'response');
  response?.resume();
  assert.deepEqual([asked, reached], [1, ['127.0.0.2']]);
  upstreams.close();
  const second = upstreams.egress(rule, target);
  second.end();
  const [error]: unknown[] = await once(second, 'error');
  assert.match(String(error), /127\.0\.0\.1, which is loopback/);
  assert.equal(reached.length, 1);
});

test('one refused address among several refuses them all; an unknown name fails', async () => {
  const { checkedLookup } = await import('../../src/door/address.ts');
  const rule = InspectRule.parse({ id: 'r', host: 'localhost' });
  const ask = (name: string, change: Partial<InspectRule>) =>
    new Promise<Error | null>((resolve) =>
      checkedLookup({ ...rule, ...change }, {})(name, { all: true }, (error) => resolve(error)),
    );
  assert.match(String(await ask('localhost', {})), /loopback/);
  assert.equal(await ask('localhost', { privateAddresses: ['127.0.0.0/8', '::1/128'] }), null);
});
