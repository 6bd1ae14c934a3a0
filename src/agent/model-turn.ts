import { type AssistantModelMessage, type LanguageModel, type ModelMessage, streamText, type ToolSet } from 'ai';
import type { Budget } from './budget.ts';
import { AgentEnded } from './ended.ts';
import { type ModelFailure, modelFailure } from './model-failure.ts';

/** Waits; rejects with the signal's reason when it is aborted. */
export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;

/** How often a failing call is made in all, and the longest wait between two. */
const TRIES = 5;
const LONGEST_WAIT_MS = 2 * 60_000;
const MAX_OUTPUT_TOKENS = 16_000;

export interface ToolCall {
  readonly id: string;
  readonly tool: string;
  readonly input: unknown;
  /** Set when the input is no JSON, does not fit the tool, or the tool does not exist. */
  readonly invalid: string | null;
}

export interface Turn {
  readonly text: string;
  readonly calls: readonly ToolCall[];
  readonly cutShort: boolean;
  /** The answer as it goes back into the conversation; null when there was none. */
  readonly message: AssistantModelMessage | null;
}

export interface TurnRequest {
  readonly model: LanguageModel;
  readonly instructions: string;
  readonly messages: readonly ModelMessage[];
  readonly tools: ToolSet;
  readonly mayCallTools: boolean;
  readonly budget: Budget;
  readonly signal: AbortSignal;
  readonly sleep: Sleep;
  /** 0 ≤ random < 1: spreads the retries of many tasks. */
  readonly random: () => number;
}

/** The conversation does not fit into the model's context; the caller may shorten it and ask again. */
export class ContextExceeded extends Error {}

/**
 * One answer of the model: the call, tried again with growing waits where that may help.
 * @throws ContextExceeded; AgentEnded `model_unavailable`, `model_nonsense`, `model_refused`, or what the gateway says; the signal's reason.
 */
export async function modelTurn(request: TurnRequest): Promise<Turn> {
  for (let attempt = 1; ; attempt++) {
    const answer = await call(request);
    request.signal.throwIfAborted();
    if ('turn' in answer) return answer.turn;
    const { failure } = answer;
    if (failure.kind === 'context') throw new ContextExceeded(failure.what);
    if (failure.kind === 'end') throw new AgentEnded(failure.reason, failure.what);
    if (attempt >= TRIES) throw new AgentEnded(failure.reason, `${failure.what} (tried ${TRIES} times)`);
    if (failure.afterMs !== null && failure.afterMs > LONGEST_WAIT_MS) {
      throw new AgentEnded(failure.reason, `${failure.what} (it asks to wait ${Math.round(failure.afterMs / 1000)} s)`);
    }
    await request.sleep(failure.afterMs ?? 1000 * 2 ** (attempt - 1) * (1 + request.random()), request.signal);
  }
}

/** One call, streamed to its end; what the stream held before an error is dropped. */
async function call(request: TurnRequest): Promise<{ turn: Turn } | { failure: ModelFailure }> {
  try {
    const result = streamText({
      model: request.model,
      instructions: request.instructions,
      messages: [...request.messages],
      tools: request.tools,
      toolChoice: request.mayCallTools ? 'auto' : 'none',
      maxOutputTokens: MAX_OUTPUT_TOKENS,
      maxRetries: 0,
      abortSignal: request.signal,
      onError: () => undefined,
    });
    for await (const part of result.stream) {
      if (part.type === 'error') return { failure: modelFailure(part.error, Date.now()) };
      if (part.type === 'abort') request.signal.throwIfAborted();
    }
    const [finish, raw, usage] = [await result.finishReason, await result.rawFinishReason, await result.usage];
    request.budget.spend((usage.inputTokens ?? 0) + (usage.outputTokens ?? 0));
    if (finish === 'interrupted' || finish === 'error') return { failure: cut };
    if (finish === 'content-filter')
      return { failure: { kind: 'end', reason: 'model_refused', what: refusal(await result.text) } };
    if (raw === 'model_context_window_exceeded')
      return { failure: { kind: 'context', what: 'The answer ran into the end of the context.' } };
    const calls = (await result.toolCalls).map((one) => ({
      id: one.toolCallId,
      tool: one.toolName,
      input: one.input,
      invalid: one.invalid ? invalidText(one.error) : null,
    }));
    // Results of invalid calls are in there as well; the loop answers each call itself, once.
    const assistant = (await result.responseMessages).find((message) => message.role === 'assistant');
    return {
      turn: { text: (await result.text).trim(), calls, cutShort: finish === 'length', message: assistant ?? null },
    };
  } catch (thrown) {
    request.signal.throwIfAborted();
    return { failure: modelFailure(thrown, Date.now()) };
  }
}

const cut: ModelFailure = { kind: 'retry', reason: 'model_unavailable', what: "The model's answer broke off.", afterMs: null };
const refusal = (text: string): string => `The model refused to answer${text.trim() ? `: ${text.trim().slice(0, 500)}` : '.'}`;
const invalidText = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error ?? 'invalid')).slice(0, 2000);
