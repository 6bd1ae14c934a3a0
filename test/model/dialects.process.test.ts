import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, isStepCount, type LanguageModel, streamText, tool } from 'ai';
import { z } from 'zod';
import { ATTEMPT_KEY, PRICE, REAL_KEY, startBoth } from './gateway.fixture.ts';
import type { Script } from './script.ts';

const DIALECTS = ['anthropic-messages', 'openai-chat'] as const;

function client(dialect: (typeof DIALECTS)[number], url: string): LanguageModel {
  if (dialect === 'anthropic-messages') return createAnthropic({ baseURL: `${url}/v1`, apiKey: ATTEMPT_KEY })('granted-model');
  return createOpenAICompatible({ name: 'gateway', baseURL: `${url}/v1`, apiKey: ATTEMPT_KEY })('granted-model');
}

const TOOL_LOOP: Script = [
  { turn: 0, text: 'I look first.', calls: [{ tool: 'read', input: { path: 'src/sum.js', note: 'ünïcode ✓' } }] },
  { turn: 1, match: 'return a - b', text: 'It subtracts where it should add. '.repeat(12) },
];

const read = (seen: unknown[]) =>
  tool({
    description: 'Reads a file.',
    inputSchema: z.object({ path: z.string(), note: z.string() }),
    execute: async (input) => {
      seen.push(input);
      return 'return a - b';
    },
  });

const options = (model: LanguageModel, seen: unknown[]) => ({
  model,
  prompt: 'What is wrong?',
  tools: { read: read(seen) },
  stopWhen: isStepCount(5),
  maxRetries: 0,
  maxOutputTokens: 2000,
});

for (const dialect of DIALECTS) {
  test(`${dialect}: a tool loop, whole answers`, async (t) => {
    const { gateway } = await startBoth(t, dialect, TOOL_LOOP);
    const seen: unknown[] = [];
    const result = await generateText(options(client(dialect, gateway.url), seen));
    assert.equal(result.text, 'It subtracts where it should add. '.repeat(12));
    assert.deepEqual(seen, [{ path: 'src/sum.js', note: 'ünïcode ✓' }]);
    assert.equal(gateway.calls.length, 2);
  });

  test(`${dialect}: a tool loop, streamed, with its tokens counted as the client counts them`, async (t) => {
    const { gateway, model } = await startBoth(t, dialect, TOOL_LOOP);
    const seen: unknown[] = [];
    const result = streamText(options(client(dialect, gateway.url), seen));
    const parts: string[] = [];
    for await (const part of result.textStream) parts.push(part);
    assert.ok(parts.length > 5, 'it arrives in parts');
    assert.equal(parts.join(''), `I look first.${'It subtracts where it should add. '.repeat(12)}`);
    assert.equal(seen.length, 1);
    const total = await result.totalUsage;
    const [first, second] = gateway.calls;
    assert.ok(first && second);
    assert.equal(first.inputTokens + second.inputTokens, total.inputTokens);
    assert.equal(first.outputTokens + second.outputTokens, total.outputTokens);
    assert.ok(second.cachedTokens > 0 && second.cachedTokens < second.inputTokens);
    const plain = second.inputTokens - second.cachedTokens;
    const dollars = (plain * PRICE.input + second.cachedTokens * PRICE.cachedInput + second.outputTokens * PRICE.output) / 1e6;
    assert.ok(Math.abs((second.costUsd ?? 0) - dollars) < 1e-12);
    assert.deepEqual([second.answered, second.status, second.note], ['granted-model', 200, '']);
    assert.deepEqual(
      gateway.settled.map(({ id, usage }) => [id, usage.outputTokens]),
      [
        ['r0', first.outputTokens],
        ['r1', second.outputTokens],
      ],
    );
    for (const request of await model.requests()) {
      const text = JSON.stringify(request);
      assert.ok(text.includes(REAL_KEY) && !text.includes(ATTEMPT_KEY), 'the real key goes out, the other does not');
    }
  });

  test(`${dialect}: errors arrive as the vendor's own, and a client can tell them apart`, async (t) => {
    const script: Script = [
      { times: 1, misbehave: { kind: 'status', status: 429, retryAfter: 7 } },
      { times: 1, misbehave: { kind: 'status', status: 500 } },
      { times: 1, misbehave: { kind: 'context_exceeded' } },
    ];
    const { gateway } = await startBoth(t, dialect, script);
    const errors: APICallError[] = [];
    for (let i = 0; i < 3; i += 1) {
      await generateText({ model: client(dialect, gateway.url), prompt: 'x', maxRetries: 0 }).then(
        () => assert.fail('it must fail'),
        (error: unknown) => errors.push(APICallError.isInstance(error) ? error : assert.fail(String(error))),
      );
    }
    assert.deepEqual(
      errors.map((error) => [error.statusCode, error.isRetryable]),
      [
        [429, true],
        [500, true],
        [400, false],
      ],
    );
    assert.equal(errors[0]?.responseHeaders?.['retry-after'], '7');
    assert.match(errors[2]?.message ?? '', /too long|context length/);
    assert.deepEqual(
      gateway.calls.map((call) => [call.status, call.inputTokens]),
      [
        [429, 0],
        [500, 0],
        [400, 0],
      ],
    );
  });

  test(`${dialect}: a spent budget is told so that the client does not try again`, async (t) => {
    const { gateway, model } = await startBoth(t, dialect, [{ text: 'never' }], {
      reserve: () => ({ granted: false, why: 'token_limit' }),
    });
    const failure = generateText({ model: client(dialect, gateway.url), prompt: 'x', maxRetries: 3 });
    await assert.rejects(failure, (error) => {
      assert.ok(APICallError.isInstance(error), String(error));
      assert.deepEqual([error.statusCode, error.isRetryable], [403, false]);
      assert.match(error.message, /token budget.*token_limit/);
      return true;
    });
    assert.equal(gateway.calls.length, 1);
    assert.deepEqual(await model.requests(), []);
  });

  test(`${dialect}: a refusing model, a cut stream and nonsense are told apart`, async (t) => {
    const cases = await Promise.all(
      (['refusal', 'cut', 'nonsense'] as const).map(async (kind) => {
        const misbehave = kind === 'cut' ? { kind, afterEvents: 4 } : { kind };
        const { gateway } = await startBoth(t, dialect, [
          { text: 'Some words that take several events to say, at the least.', misbehave },
        ]);
        const result = streamText({ model: client(dialect, gateway.url), prompt: 'x', maxRetries: 0, onError: () => {} });
        const outcome = await Promise.resolve(result.finishReason).catch(() => 'failed');
        await gateway.recorded(1);
        return { kind, outcome, call: gateway.calls[0] };
      }),
    );
    const [refusal, cut, nonsense] = cases;
    assert.equal(refusal?.outcome, 'content-filter');
    assert.ok(['failed', 'error', 'other'].includes(String(cut?.outcome)), `cut: ${cut?.outcome}`);
    assert.match(cut?.call?.note ?? '', /usage estimated.*cut/);
    assert.ok((cut?.call?.outputTokens ?? 0) > 0, 'what arrived is charged');
    assert.notEqual(nonsense?.outcome, 'stop');
    assert.match(nonsense?.call?.note ?? '', /usage estimated/);
  });
}
