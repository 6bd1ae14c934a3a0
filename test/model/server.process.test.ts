import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startScriptedModel } from './model.ts';
import type { Script } from './script.ts';

async function start(t: TestContext, dialect: 'anthropic-messages' | 'openai-chat', script: Script) {
  const model = await startScriptedModel({ dialect, script });
  t.after(() => model.close());
  const post = (body: object, headers: Record<string, string> = {}) => {
    const path = dialect === 'openai-chat' ? '/v1/chat/completions' : '/v1/messages';
    const key = { 'x-api-key': model.key, authorization: `Bearer ${model.key}`, 'anthropic-version': '2023-06-01' };
    return fetch(model.url + path, { method: 'POST', headers: { ...key, ...headers }, body: JSON.stringify(body) });
  };
  return { model, post };
}

const user = { role: 'user', content: 'hello' };
const BAD_ANTHROPIC: readonly [string, number, object, Record<string, string>?][] = [
  ['a wrong key', 401, {}, { 'x-api-key': 'wrong' }],
  ['no max_tokens', 400, { max_tokens: undefined }],
  ['no messages', 400, { messages: [] }],
  ['a system message among the messages', 400, { messages: [{ role: 'system', content: 'x' }] }],
  ['a tool without a schema', 400, { tools: [{ name: 'x' }] }],
  ['a result without its call', 400, { messages: [{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'x' }] }] }],
  [
    'a call without its result',
    400,
    { messages: [user, { role: 'assistant', content: [{ type: 'tool_use', id: 'x', name: 'y', input: {} }] }, user] },
  ],
];
const call = { id: 'x', type: 'function', function: { name: 'y', arguments: '{}' } };
const BAD_OPENAI: readonly [string, number, object, Record<string, string>?][] = [
  ['a wrong key', 401, {}, { authorization: 'Bearer wrong' }],
  ['no messages', 400, { messages: [] }],
  ['a tool that is no function', 400, { tools: [{ type: 'web_search' }] }],
  ['a result without its call', 400, { messages: [user, { role: 'tool', tool_call_id: 'x', content: 'y' }] }],
  ['a call without its result', 400, { messages: [user, { role: 'assistant', content: null, tool_calls: [call] }, user] }],
];

for (const [dialect, cases] of [['anthropic-messages', BAD_ANTHROPIC] as const, ['openai-chat', BAD_OPENAI] as const]) {
  test(`${dialect}: what the vendor refuses is refused`, async (t) => {
    const { post, model } = await start(t, dialect, [{ text: 'hi' }]);
    const good = { model: 'm', max_tokens: 10, messages: [user] };
    assert.equal((await post(good)).status, 200, 'control');
    for (const [name, status, more, headers] of cases)
      assert.equal((await post({ ...good, ...more }, headers)).status, status, name);
    assert.equal((await fetch(`${model.url}/v1/files`)).status, 404);
  });
}

test('a turn is given where it fits, and as often as it says', async (t) => {
  const script: Script = [
    { times: 1, misbehave: { kind: 'status', status: 529 } },
    { match: 'HELLO', lacks: 'edit', text: 'first' },
    { seen: 'hello', offers: 'edit', turn: 0, text: 'second' },
  ];
  const { post } = await start(t, 'anthropic-messages', script);
  const ask = { model: 'm', max_tokens: 10, messages: [user] };
  const tools = [{ name: 'edit', input_schema: { type: 'object' } }];
  assert.equal((await post(ask)).status, 529);
  assert.match(await (await post(ask)).text(), /"first"/);
  assert.match(await (await post({ ...ask, tools })).text(), /"second"/);
  const none = await post({ ...ask, messages: [{ role: 'user', content: 'bye' }] });
  assert.deepEqual([none.status, /no answer: turn 0/.test(await none.text())], [400, true]);
});

test('an answer that hangs goes on when it is released', { timeout: 20_000 }, async (t) => {
  const { post, model } = await start(t, 'openai-chat', [{ text: 'at last', misbehave: { kind: 'hang' } }]);
  let answered = false;
  const answer = post({ model: 'm', messages: [user] }).then((response) => {
    answered = true;
    return response.text();
  });
  await model.hanging(1);
  assert.equal(answered, false);
  await model.release();
  assert.match(await answer, /at last/);
});
