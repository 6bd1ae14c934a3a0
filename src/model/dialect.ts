import type { ModelDialect } from '../task/work-order.ts';
import { anthropicMessages } from './anthropic.ts';
import { openaiChat } from './openai.ts';
import type { Dialect } from './wire-dialect.ts';

/** Every dialect that the gateway speaks. */
export const DIALECTS: Readonly<Record<ModelDialect, Dialect>> = {
  'anthropic-messages': anthropicMessages,
  'openai-chat': openaiChat,
};
