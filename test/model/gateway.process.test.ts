import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpRequest, type RequestListener } from 'node:http';
import { type TestContext, test } from 'node:test';
import { z } from 'zod';
import { ATTEMPT_KEY, ask, call, PATHS, REAL_KEY, startBoth, startGateway } from './gateway.fixture.ts';

/** A provider that does as told, for what no script plays. */
async function startProvider(t: TestContext, handler: RequestListener): Promise<string> {
  const server = createServer(handler);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${z.object({ port: z.int() }).parse(server.address()).port}/v1`;
}

const type = (text: string) => z.object({ error: z.object({ type: z.string() }) }).parse(JSON.parse(text)).error.type;

test('an unknown key is 401 and recorded nowhere; a closed model is 403', async (t) => {
  let open = true;
  const { gateway, model } = await startBoth(t, 'openai-chat', [{ text: 'hi' }], { open: () => open });
  const url = gateway.url + PATHS['openai-chat'];
  assert.equal((await call(url, ask())).status, 200);
  const unknown = await call(url, ask(), { key: 'another-key' });
  assert.deepEqual([unknown.status, type(unknown.text)], [401, 'authentication_error']);
  assert.equal(gateway.calls.length, 1);
  open = false;
  const closed = await call(url, ask());
  assert.deepEqual([closed.status, type(closed.text)], [403, 'model_closed']);
  assert.equal(gateway.calls.length, 2);
  assert.equal((await model.requests()).length, 1);
});

test('only the paths and the method of the granted dialect are served', async (t) => {
  const { gateway, model } = await startBoth(t, 'anthropic-messages', [{ text: 'hi' }]);
  for (const path of ['/v1/chat/completions', '/v1/files', '/v1/messages/batches', '/v1/messages/../files', '/toString', '']) {
    assert.equal((await call(gateway.url + path, ask())).status, 404, path);
  }
  assert.equal((await call(`${gateway.url}/v1/messages`, '', { method: 'GET' })).status, 404);
  assert.equal((await call(`${gateway.url}/v1/messages?beta=true`, ask())).status, 200, 'control');
  assert.equal((await model.requests()).length, 1);
});

const REFUSED_ANTHROPIC: readonly [string, object][] = [
  ['"web_search_20250305"', { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }],
  ['"web_fetch_20250910"', { tools: [{ type: 'web_fetch_20250910', name: 'web_fetch' }] }],
  ['"code_execution_20250825"', { tools: [{ type: 'code_execution_20250825', name: 'code_execution' }] }],
  ['"mcp_toolset"', { tools: [{ type: 'mcp_toolset', mcp_server_name: 'x' }] }],
  ['"mcp_servers"', { mcp_servers: [{ type: 'url', url: 'https://outside.test', name: 'x' }] }],
  ['"container"', { container: 'container_1' }],
  ['"some_new_thing"', { some_new_thing: {} }],
  ['source of type "url"', withBlock({ type: 'image', source: { type: 'url', url: 'https://outside.test/x' } })],
  ['source of type "file"', withBlock({ type: 'document', source: { type: 'file', file_id: 'file_1' } })],
  ['"container_upload"', withBlock({ type: 'container_upload', file_id: 'file_1' })],
  [
    'source of type "url"',
    withBlock({
      type: 'tool_result',
      tool_use_id: 'x',
      content: [{ type: 'image', source: { type: 'url', url: 'https://outside.test' } }],
    }),
  ],
  [
    'source of type "url"',
    withBlock({ type: 'document', source: { type: 'content', content: [{ type: 'image', source: { type: 'url', url: 'x' } }] } }),
  ],
  ['source of type "url"', { system: [{ type: 'document', source: { type: 'url', url: 'https://outside.test' } }] }],
  ['messages', { messages: { 0: 'x' } }],
];

const REFUSED_OPENAI: readonly [string, object][] = [
  ['"web_search_options"', { web_search_options: {} }],
  ['"plugins"', { plugins: [{ id: 'web' }] }],
  ['"store"', { store: true }],
  ['the tool "web_search"', { tools: [{ type: 'web_search' }] }],
  ['the tool "mcp"', { tools: [{ type: 'mcp', server_url: 'https://outside.test' }] }],
  ['the tool "custom"', { tools: [{ type: 'custom', custom: { name: 'x' } }] }],
  ['an image by its URL', withBlock({ type: 'image_url', image_url: { url: 'https://outside.test/x' } })],
  ['an image by its URL', withBlock({ type: 'image_url', image_url: 'HTTP://outside.test/x' })],
  ['a file that is not', withBlock({ type: 'file', file: { file_id: 'file-1' } })],
  ['a file that is not', withBlock({ type: 'file', file: { file_data: 'https://outside.test/x' } })],
  ['"video_url"', withBlock({ type: 'video_url', video_url: { url: 'https://outside.test/x' } })],
];

function withBlock(block: object): object {
  return { messages: [{ role: 'user', content: [block] }] };
}

test('what would make the vendor reach out is refused by name, and nothing is sent', async (t) => {
  for (const [dialect, cases] of [['anthropic-messages', REFUSED_ANTHROPIC] as const, ['openai-chat', REFUSED_OPENAI] as const]) {
    const { gateway, model } = await startBoth(t, dialect, [{ text: 'hi' }]);
    for (const [name, more] of cases) {
      const answer = await call(gateway.url + PATHS[dialect], ask(more));
      assert.deepEqual([answer.status, type(answer.text)], [403, 'not_granted'], `${dialect} ${name}`);
      assert.ok(answer.text.includes(JSON.stringify(name).slice(1, -1)), `${answer.text} names ${name}`);
    }
    assert.equal(gateway.calls.length, cases.length);
    assert.ok(gateway.calls.every((c) => c.status === 403 && c.note.startsWith('Refused by policy')));
    assert.deepEqual([gateway.reserved, await model.requests()], [[], []]);
  }
});

test('what stays in the request passes: client tools, inline images and documents', async (t) => {
  const { gateway } = await startBoth(t, 'anthropic-messages', [{ text: 'hi' }]);
  const source = { type: 'base64', media_type: 'image/png', data: 'AAAA' };
  const content = [
    { type: 'text', text: 'x' },
    { type: 'image', source },
    { type: 'document', source: { type: 'text', data: 'y' } },
  ];
  const schema = { input_schema: { type: 'object' } };
  const tools = [
    { name: 'read', ...schema },
    { type: 'custom', name: 'w', ...schema },
    { type: 'bash_20250124', name: 'bash', ...schema },
  ];
  const anthropic = await call(
    `${gateway.url}/v1/messages`,
    ask({ tools, messages: [{ role: 'user', content }], system: 'be brief' }),
  );
  assert.equal(anthropic.status, 200, anthropic.text);
  const other = await startBoth(t, 'openai-chat', [{ text: 'hi' }]);
  const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
  const openai = await call(`${other.gateway.url}/v1/chat/completions`, ask(withBlock(image)));
  assert.equal(openai.status, 200, openai.text);
});

test('the granted model is used whatever was asked for, and the record says so', async (t) => {
  const { gateway, model } = await startBoth(t, 'anthropic-messages', [{ text: 'hi' }]);
  await call(`${gateway.url}/v1/messages`, ask({ model: 'a-dearer-model' }));
  const [request] = await model.requests();
  assert.equal(z.object({ model: z.string() }).parse(request?.body).model, 'granted-model');
  const [recorded] = gateway.calls;
  assert.deepEqual([recorded?.asked, recorded?.answered], ['a-dearer-model', 'granted-model']);
  assert.match(recorded?.note ?? '', /"a-dearer-model" was asked for/);
});

test('tokens are set aside before the call, for what is sent and for the longest answer', async (t) => {
  const { gateway } = await startBoth(t, 'openai-chat', [{ text: 'hi' }]);
  await call(`${gateway.url}/v1/chat/completions`, ask({ max_tokens: 1000 }));
  await call(`${gateway.url}/v1/chat/completions`, ask({ max_tokens: 1000, n: 3 }));
  const [one, three] = gateway.reserved;
  assert.ok(one && one.tokens > 1000 && one.tokens < 1100, String(one?.tokens));
  assert.ok(three && three.tokens > 3000 && three.tokens < 3100);
  assert.deepEqual(
    gateway.settled.map(({ id }) => id),
    ['r0', 'r1'],
  );
});

test('client headers do not pass, but those on the list do', async (t) => {
  let seen: Record<string, unknown> = {};
  const baseUrl = await startProvider(t, (request, response) => {
    seen = request.headers;
    response.setHeader('set-cookie', 'account=1');
    response.setHeader('openai-organization', 'acme');
    response.end('{}');
  });
  const gateway = await startGateway(t, { dialect: 'anthropic-messages', baseUrl });
  const headers = {
    'x-api-key': ATTEMPT_KEY,
    'anthropic-version': '2023-06-01',
    cookie: 'a=b',
    'x-forwarded-for': '10.0.0.1',
    'openai-project': 'p',
  };
  const response = await fetch(`${gateway.url}/v1/messages`, { method: 'POST', headers, body: JSON.stringify(ask()) });
  assert.equal(response.status, 200);
  const kept = Object.keys(seen).filter((name) => !['host', 'connection', 'content-length', 'transfer-encoding'].includes(name));
  assert.deepEqual(kept.sort(), ['accept', 'accept-encoding', 'anthropic-version', 'content-type', 'x-api-key']);
  assert.equal(seen['x-api-key'], REAL_KEY);
  assert.equal(response.headers.get('set-cookie'), null);
  assert.equal(response.headers.get('openai-organization'), null);
});

test('a provider that echoes the real key does not give it away, in whatever pieces', async (t) => {
  const baseUrl = await startProvider(t, async (_request, response) => {
    response.setHeader('request-id', `id-${REAL_KEY}`);
    response.writeHead(401, { 'content-type': 'application/json' });
    const text = JSON.stringify({ error: { type: 'authentication_error', message: `bad key ${REAL_KEY} given, ${REAL_KEY}` } });
    for (const character of text) {
      if (!response.write(character)) await once(response, 'drain');
    }
    response.end();
  });
  const gateway = await startGateway(t, { dialect: 'openai-chat', baseUrl });
  const answer = await call(`${gateway.url}/v1/chat/completions`, ask());
  assert.equal(answer.status, 401);
  assert.match(answer.text, /bad key \[redacted\] given, \[redacted\]"/);
  assert.ok(!JSON.stringify([answer, gateway.calls]).includes(REAL_KEY));
});

test('a stream is passed on event by event, not gathered', { timeout: 20_000 }, async (t) => {
  const { promise, resolve: firstSeen } = Promise.withResolvers<void>();
  const baseUrl = await startProvider(t, async (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: {"model":"m","choices":[{"delta":{"content":"one"}}]}\n\n');
    await promise;
    response.end('data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}\n\ndata: [DONE]\n\n');
  });
  const gateway = await startGateway(t, { dialect: 'openai-chat', baseUrl });
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ATTEMPT_KEY}` },
    body: JSON.stringify(ask({ stream: true })),
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  assert.match((await reader?.read())?.value ?? '', /one/);
  firstSeen();
  assert.match((await reader?.read())?.value ?? '', /DONE/);
  assert.deepEqual(await reader?.read(), { done: true, value: undefined });
  const [recorded] = gateway.calls;
  assert.deepEqual(
    [recorded?.inputTokens, recorded?.outputTokens, recorded?.note],
    [5, 2, '"m" was asked for, the granted model was used'],
  );
});

test('a client that leaves cancels the call, which is settled and recorded', { timeout: 20_000 }, async (t) => {
  const { gateway, model } = await startBoth(t, 'anthropic-messages', [{ text: 'never said', misbehave: { kind: 'hang' } }]);
  const leave = new AbortController();
  const request = httpRequest(`${gateway.url}/v1/messages`, {
    method: 'POST',
    headers: { 'x-api-key': ATTEMPT_KEY, 'anthropic-version': '2023-06-01' },
    signal: leave.signal,
  });
  request.on('error', () => {});
  request.end(JSON.stringify(ask({ stream: true })));
  while (gateway.reserved.length === 0) await new Promise(setImmediate);
  leave.abort();
  await gateway.recorded(1);
  assert.deepEqual(
    [gateway.calls[0]?.status, gateway.calls[0]?.note],
    [null, '"m" was asked for, the granted model was used; the client left'],
  );
  assert.equal(gateway.settled.length, 1);
  let left = await model.requests();
  while (left.length === 0) left = await model.requests();
  assert.equal(left[0]?.left, true, 'the provider sees the call cancelled');
});

test('stopping the gateway cuts what is under way', { timeout: 20_000 }, async (t) => {
  const { gateway } = await startBoth(t, 'openai-chat', [{ text: 'x', misbehave: { kind: 'hang' } }]);
  const answer = call(`${gateway.url}/v1/chat/completions`, ask());
  while (gateway.reserved.length === 0) await new Promise(setImmediate);
  gateway.stop.abort();
  assert.equal((await answer).status, 502);
  assert.match(gateway.calls[0]?.note ?? '', /stopped/);
});

test('a stream that the provider cuts is cut for the client too', async (t) => {
  const { gateway } = await startBoth(t, 'anthropic-messages', [
    { text: 'word '.repeat(200), misbehave: { kind: 'cut', afterEvents: 6 } },
  ]);
  const answer = await call(`${gateway.url}/v1/messages`, ask({ stream: true }));
  assert.deepEqual([answer.status, answer.cut], [200, true]);
  assert.match(answer.text, /message_start/);
});

test('a provider that is not there, redirects, or compresses is 502, and says nothing of where it is', async (t) => {
  const gone = await startGateway(t, { dialect: 'openai-chat', baseUrl: 'http://127.0.0.1:1/v1' });
  const answer = await call(`${gone.url}/v1/chat/completions`, ask());
  assert.equal(answer.status, 502);
  assert.ok(!answer.text.includes('127.0.0.1'), answer.text);
  assert.equal(gone.settled[0]?.usage.inputTokens, 0);
  for (const headers of [{ location: 'http://outside.test/' }, { 'content-encoding': 'gzip' }]) {
    const baseUrl = await startProvider(t, (_request, response) => {
      response.writeHead('location' in headers ? 307 : 200, headers);
      response.end('x');
    });
    const gateway = await startGateway(t, { dialect: 'openai-chat', baseUrl });
    const refused = await call(`${gateway.url}/v1/chat/completions`, ask());
    assert.equal(refused.status, 502);
    assert.equal(refused.headers['location'], undefined);
  }
});

test('bodies over the cap are 413, what is no JSON object 400', async (t) => {
  const { gateway, model } = await startBoth(t, 'openai-chat', [{ text: 'hi' }], { bodyLimit: 2000 });
  const url = `${gateway.url}/v1/chat/completions`;
  assert.equal((await call(url, ask({ user: 'x'.repeat(1000) }))).status, 200, 'control');
  assert.equal((await call(url, ask({ user: 'x'.repeat(5_000_000) }))).status, 413);
  for (const body of ['{"half', '[]', '"text"', '']) assert.equal((await call(url, body)).status, 400, body);
  assert.equal((await model.requests()).length, 1);
  assert.equal(gateway.calls.length, 6);
});
