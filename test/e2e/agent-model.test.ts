import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Budget } from '../../src/agent/budget.ts';
import { builtinHarness } from '../../src/agent/builtin.ts';
import { AgentEnded } from '../../src/agent/ended.ts';
import type { AgentContext } from '../../src/agent/harness.ts';
import type { ModelDialect } from '../../src/task/work-order.ts';
import { localSandbox } from '../agent/local-sandbox.ts';
import { workOrder } from '../agent/scene.ts';
import { ATTEMPT_KEY, REAL_KEY, startBoth } from '../model/gateway.fixture.ts';
import type { Script } from '../model/script.ts';
import { rig } from './door-rig.ts';

/** The agent's side of the way to a model: harness → real door → real gateway → a vendor's dialect, scripted. */
async function way(t: TestContext, dialect: ModelDialect, script: Script) {
  const { model, gateway } = await startBoth(t, dialect, script);
  const { door, rows } = await rig(t);
  await door.set({ phase: 'agent', model: { url: gateway.url, key: ATTEMPT_KEY } });
  const sandbox = await localSandbox();
  t.after(() => sandbox.close());
  const context: AgentContext = {
    sandbox,
    work: workOrder(),
    model: { doorSocket: door.socket, dialect, name: 'granted-model' },
    budget: new Budget({ turns: 20, tokens: 1_000_000 }),
    emit: () => {},
    signal: AbortSignal.timeout(60_000),
  };
  return { model, gateway, door, rows, context, harness: builtinHarness({ sleep: async () => {} }) };
}

for (const dialect of ['anthropic-messages', 'openai-chat'] as const) {
  test(`a whole conversation through door and gateway over ${dialect}`, async (t) => {
    const { gateway, rows, context, harness } = await way(t, dialect, [
      { lacks: 'write', turn: 0, calls: [{ tool: 'list', input: {} }] },
      { lacks: 'write', text: '- the plan' },
      { offers: 'write', turn: 0, calls: [{ tool: 'write', input: { path: 'a', content: 'x' } }] },
      { offers: 'write', text: 'Write a\n\nIt was missing.' },
    ]);
    assert.equal((await harness.plan(context)).text, '- the plan');
    assert.deepEqual((await harness.work(context, [])).summary, { title: 'Write a', body: 'It was missing.' });
    await gateway.recorded(4);
    assert.ok(
      gateway.calls.every((call) => call.status === 200 && call.note === ''),
      JSON.stringify(gateway.calls),
    );
    // What the agent counts and what the gateway counts is the same.
    assert.equal(
      context.budget.tokens,
      gateway.calls.reduce((sum, call) => sum + call.inputTokens + call.outputTokens, 0),
    );
    assert.ok(rows.every((row) => row.route === 'model' && row.verdict === 'allowed'));
  });

  for (const [kind, reason] of [
    ['refusal', 'model_refused'],
    ['nonsense', 'model_nonsense'],
    ['context_exceeded', 'context_exceeded'],
    ['cut', 'model_unavailable'],
    ['status', 'model_unavailable'],
  ] as const) {
    test(`${kind} ends with ${reason} over ${dialect}`, async (t) => {
      const misbehave = kind === 'cut' ? { kind, afterEvents: 2 } : kind === 'status' ? { kind, status: 500 } : { kind };
      const { context, harness } = await way(t, dialect, [{ text: 'Well', misbehave }]);
      await assert.rejects(harness.plan(context), (thrown) => {
        assert.ok(thrown instanceof AgentEnded, String(thrown));
        assert.equal(thrown.reason, reason, thrown.message);
        assert.ok(!thrown.message.includes(REAL_KEY) && !thrown.message.includes(ATTEMPT_KEY));
        return true;
      });
    });
  }
}

test('a door that is shut ends with model_unavailable, and says what refused', async (t) => {
  const { door, rows, context, harness } = await way(t, 'anthropic-messages', [{ text: 'Never asked' }]);
  await door.set({ phase: 'shut' });
  await assert.rejects(harness.plan(context), (thrown) => thrown instanceof AgentEnded && thrown.reason === 'model_unavailable');
  assert.ok(rows.every((row) => row.verdict === 'refused'));
});
