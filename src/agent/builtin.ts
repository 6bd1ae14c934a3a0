import { setTimeout as delay } from 'node:timers/promises';
import type { ModelMessage, ToolSet } from 'ai';
import { AgentSummary } from '../task/protocol.ts';
import { dropOldResults } from './compaction.ts';
import { AgentEnded } from './ended.ts';
import { type Fence, makeFence } from './fence.ts';
import type { AgentContext, Harness } from './harness.ts';
import { modelBehindDoor } from './model-client.ts';
import { ContextExceeded, modelTurn, type Sleep, type ToolCall, type Turn } from './model-turn.ts';
import { CUT_ANSWER, EMPTY_ANSWER, feedbackPrompt, INSTRUCTIONS, PLAN_NOW, planPrompt, WORK } from './prompts.ts';
import { TOOLS } from './tools/all.ts';
import type { AgentTool, ToolResult } from './tools/tool.ts';

/** Turns with tools that a plan may take before it is asked for. */
const PLAN_TURNS = 15;
/** Answers in a row that are empty, cut, or hold no usable tool call, after which the model counts as talking nonsense. */
const NONSENSE_LIMIT = 3;
const EVENT_TEXT = 16_000;

/** What is injected for tests; production takes the defaults. */
export interface BuiltinOptions {
  readonly sleep?: Sleep;
  readonly random?: () => number;
  readonly fence?: Fence;
}

/** Our own loop: the model asks, the tools answer from inside of the sandbox, until it answers without asking. */
export function builtinHarness(options: BuiltinOptions = {}): Harness {
  const fence = options.fence ?? makeFence();
  const messages: ModelMessage[] = [];
  let compacted = false;
  const say = (content: string) => messages.push({ role: 'user', content });

  return {
    async plan(context) {
      say(planPrompt(context.work, fence));
      const readOnly = TOOLS.filter((tool) => tool.readOnly);
      const text = await converse(context, readOnly, PLAN_TURNS);
      context.emit({ type: 'plan', text });
      return { text };
    },
    async work(context, feedback) {
      if (messages.length === 0) say(planPrompt(context.work, fence));
      say(feedback.length > 0 ? feedbackPrompt(feedback, fence) : WORK);
      return { summary: summarise(await converse(context, TOOLS, Number.POSITIVE_INFINITY), context) };
    },
  };

  /** The loop. Returns the text of the first answer that asks for no tool. */
  async function converse(context: AgentContext, tools: readonly AgentTool[], turnsWithTools: number): Promise<string> {
    let nonsense = 0;
    for (let count = 1; ; count++) {
      context.signal.throwIfAborted();
      const turn = context.budget.takeTurn();
      const mayCallTools = count <= turnsWithTools;
      const answer = await ask(context, tools, mayCallTools);
      if (answer.message) messages.push(answer.message);
      if (answer.text !== '') context.emit({ type: 'agent.said', turn, text: answer.text.slice(0, EVENT_TEXT) });
      if (answer.calls.length === 0 && answer.text !== '' && !answer.cutShort) return answer.text;

      const usable = await answerCalls(context, tools, answer.calls, turn);
      nonsense = usable > 0 ? 0 : nonsense + 1;
      if (nonsense >= NONSENSE_LIMIT)
        throw new AgentEnded('model_nonsense', `The model gave ${NONSENSE_LIMIT} unusable answers in a row.`);
      if (answer.calls.length === 0) say(answer.cutShort ? CUT_ANSWER : EMPTY_ANSWER);
      else if (count === turnsWithTools) say(PLAN_NOW);
    }
  }

  /** One answer; where the conversation does not fit any more, old results are dropped once. */
  async function ask(context: AgentContext, tools: readonly AgentTool[], mayCallTools: boolean): Promise<Turn> {
    const request = {
      model: modelBehindDoor(context.model),
      instructions: INSTRUCTIONS,
      tools: definitions(tools),
      mayCallTools,
      budget: context.budget,
      signal: context.signal,
      sleep: options.sleep ?? sleep,
      random: options.random ?? Math.random,
    };
    try {
      return await modelTurn({ ...request, messages });
    } catch (thrown) {
      if (!(thrown instanceof ContextExceeded)) throw thrown;
      if (compacted)
        throw new AgentEnded('context_exceeded', `The conversation does not fit into the model's context: ${thrown.message}`);
      compacted = true;
      messages.splice(0, messages.length, ...dropOldResults(messages));
      return ask(context, tools, mayCallTools);
    }
  }

  /** Runs the calls in order, adds their results to the conversation, and says how many were usable. */
  async function answerCalls(
    context: AgentContext,
    tools: readonly AgentTool[],
    calls: readonly ToolCall[],
    turn: number,
  ): Promise<number> {
    let usable = 0;
    for (const call of calls) {
      const tool = tools.find((one) => one.name === call.tool);
      const began = performance.now();
      const numbers: number[] = [];
      const { sandbox, work, signal } = context;
      const result: ToolResult =
        tool && call.invalid === null
          ? await tool.run(call.input, { sandbox, limits: work.limits, signal, onCommand: (number) => void numbers.push(number) })
          : { ok: false, text: `Error: ${call.invalid ?? 'this tool is not available now'}` };
      if (tool && call.invalid === null) usable += 1;
      const output = {
        type: result.ok ? ('text' as const) : ('error-text' as const),
        value: fence(`result of ${call.tool.slice(0, 40)}`, result.text),
      };
      messages.push({ role: 'tool', content: [{ type: 'tool-result', toolCallId: call.id, toolName: call.tool, output }] });
      context.emit({
        type: 'agent.tool',
        turn,
        tool: call.tool.slice(0, 100),
        input: (JSON.stringify(call.input) ?? '').slice(0, EVENT_TEXT),
        output: result.text.slice(0, EVENT_TEXT),
        ok: result.ok,
        ms: performance.now() - began,
        numbers,
      });
    }
    return usable;
  }
}

const definitions = (tools: readonly AgentTool[]): ToolSet =>
  Object.fromEntries(tools.map((tool) => [tool.name, tool.definition]));

const sleep: Sleep = async (ms, signal) => {
  await delay(ms, undefined, { signal });
};

/** First line and rest of the model's last words; never empty. */
function summarise(text: string, context: AgentContext): AgentSummary {
  const [first = '', ...rest] = text.split('\n');
  const title = first.replace(/^[\s#*_`]+|[\s*_`.]+$/g, '').slice(0, 300) || `Resolve issue ${context.work.issue.number}`;
  return AgentSummary.parse({ title, body: rest.join('\n').trim().slice(0, 20_000) });
}
