import { z } from 'zod';
import type { Conversation, Turn } from './script.ts';
import { type Asked, cachedTokens, newId, outputTokens, pieces, type StreamEvent, type Wire } from './wire.ts';

const Content = z
  .union([z.string(), z.array(z.looseObject({ type: z.string(), text: z.string().optional() })), z.null()])
  .optional();
const Message = z.discriminatedUnion('role', [
  z.looseObject({ role: z.enum(['system', 'developer', 'user']), content: Content }),
  z.looseObject({
    role: z.literal('assistant'),
    content: Content,
    tool_calls: z.array(z.looseObject({ id: z.string(), type: z.literal('function') })).optional(),
  }),
  z.looseObject({ role: z.literal('tool'), content: Content, tool_call_id: z.string() }),
]);
const Request = z
  .looseObject({
    model: z.string().min(1),
    messages: z.array(Message).min(1),
    stream: z.boolean().optional(),
    stream_options: z.looseObject({ include_usage: z.boolean().optional() }).optional(),
    tools: z.array(z.looseObject({ type: z.literal('function'), function: z.looseObject({ name: z.string() }) })).optional(),
  })
  .superRefine(({ messages }, context) => {
    // The vendor refuses a tool call that is not answered before the conversation goes on, and an answer to none.
    const open = new Set<string>();
    for (const message of messages) {
      if (message.role === 'tool') {
        if (!open.delete(message.tool_call_id)) context.addIssue('a tool message must follow a tool call of its id');
      } else if (open.size > 0) {
        context.addIssue('an assistant message with tool_calls must be followed by tool messages');
      }
      if (message.role === 'assistant') for (const { id } of message.tool_calls ?? []) open.add(id);
    }
  });

function textOf(content: z.infer<typeof Content>): string {
  if (typeof content === 'string') return content;
  return (content ?? []).map((part) => part.text ?? '').join('\n');
}

function conversationOf({ messages, tools }: z.infer<typeof Request>): Conversation {
  const lastWord = messages.findLastIndex(({ role }) => role === 'user');
  return {
    turn: messages.slice(lastWord + 1).filter(({ role }) => role === 'assistant').length,
    last: textOf(messages.at(-1)?.content),
    all: messages
      .filter(({ role }) => role !== 'system')
      .map(({ content }) => textOf(content))
      .join('\n'),
    tools: (tools ?? []).map((tool) => tool.function.name),
  };
}

const usageOf = (asked: Asked, turn: Turn) => ({
  prompt_tokens: asked.inputTokens,
  completion_tokens: outputTokens(turn),
  total_tokens: asked.inputTokens + outputTokens(turn),
  prompt_tokens_details: { cached_tokens: cachedTokens(asked) },
});

const finishReason = (turn: Turn) => {
  if (turn.misbehave?.kind === 'refusal') return 'content_filter';
  return turn.calls.length > 0 ? 'tool_calls' : 'stop';
};

/** OpenAI Chat Completions, written after https://platform.openai.com/docs/api-reference/chat. */
export const openaiWire: Wire = {
  path: '/v1/chat/completions',
  key: (headers) => /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1],
  badHeaders: () => null,
  read(body, bytes) {
    const request = Request.parse(body);
    const stream = request.stream === true;
    const includeUsage = request.stream_options?.include_usage === true;
    return {
      model: request.model,
      stream,
      includeUsage,
      conversation: conversationOf(request),
      inputTokens: Math.ceil(bytes / 4),
    };
  },
  answer: (asked, turn) => ({
    id: newId('chatcmpl-'),
    object: 'chat.completion',
    created: 1_700_000_000,
    model: asked.model,
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: turn.text === '' ? null : turn.text,
          ...(turn.calls.length === 0
            ? {}
            : { tool_calls: turn.calls.map(({ tool, input }) => call(tool, JSON.stringify(input))) }),
        },
        finish_reason: finishReason(turn),
      },
    ],
    usage: usageOf(asked, turn),
  }),
  events(asked, turn) {
    const id = newId('chatcmpl-');
    const chunk = (more: object): StreamEvent => ({
      data: JSON.stringify({ id, object: 'chat.completion.chunk', created: 1_700_000_000, model: asked.model, ...more }),
    });
    const delta = (value: object, finish: string | null = null) =>
      chunk({ choices: [{ index: 0, delta: value, finish_reason: finish }] });
    return [
      delta({ role: 'assistant', content: '' }),
      ...pieces(turn.text).map((content) => delta({ content })),
      ...turn.calls.flatMap(({ tool, input }, index) => [
        delta({ tool_calls: [{ index, ...call(tool, '') }] }),
        ...pieces(JSON.stringify(input)).map((part) => delta({ tool_calls: [{ index, function: { arguments: part } }] })),
      ]),
      delta({}, finishReason(turn)),
      // Only on request, as the vendor does.
      ...(asked.includeUsage ? [chunk({ choices: [], usage: usageOf(asked, turn) })] : []),
      { data: '[DONE]' },
    ];
  },
  error(status, message) {
    const type = status === 429 ? 'rate_limit_exceeded' : status >= 500 ? 'server_error' : 'invalid_request_error';
    return { status, body: { error: { message, type, param: null, code: null } } };
  },
  contextExceeded: () => ({
    status: 400,
    body: {
      error: {
        message: "This model's maximum context length is 128000 tokens. However, your messages resulted in 208310 tokens.",
        type: 'invalid_request_error',
        param: 'messages',
        code: 'context_length_exceeded',
      },
    },
  }),
};

const call = (name: string, args: string) => ({ id: newId('call_'), type: 'function', function: { name, arguments: args } });
