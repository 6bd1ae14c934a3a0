import { z } from 'zod';
import type { Conversation, Turn } from './script.ts';
import { type Asked, cachedTokens, newId, outputTokens, pieces, type StreamEvent, type Wire } from './wire.ts';

const Block = z.looseObject({ type: z.string() });
const Content = z.union([z.string(), z.array(Block)]);
const Request = z.looseObject({
  model: z.string().min(1),
  max_tokens: z.int().positive(),
  messages: z.array(z.strictObject({ role: z.enum(['user', 'assistant']), content: Content })).min(1),
  system: z.union([z.string(), z.array(Block)]).optional(),
  stream: z.boolean().optional(),
  tools: z.array(z.looseObject({ name: z.string(), input_schema: z.looseObject({ type: z.literal('object') }) })).optional(),
});
const Text = z.looseObject({ type: z.literal('text'), text: z.string() });
const ToolUse = z.looseObject({ type: z.literal('tool_use'), id: z.string() });
const ToolResult = z.looseObject({ type: z.literal('tool_result'), tool_use_id: z.string(), content: Content.optional() });

const blocksOf = (content: z.infer<typeof Content>) =>
  typeof content === 'string' ? [{ type: 'text', text: content }] : content;

function textOf(content: z.infer<typeof Content>): string {
  return blocksOf(content)
    .map((block) => {
      const text = Text.safeParse(block);
      if (text.success) return text.data.text;
      const result = ToolResult.safeParse(block);
      return result.success ? textOf(result.data.content ?? '') : '';
    })
    .join('\n');
}

function conversationOf({ messages, tools }: z.infer<typeof Request>): Conversation {
  const isWord = (content: z.infer<typeof Content>) => blocksOf(content).some((block) => block.type !== 'tool_result');
  const lastWord = messages.findLastIndex(({ role, content }) => role === 'user' && isWord(content));
  return {
    turn: messages.slice(lastWord + 1).filter(({ role }) => role === 'assistant').length,
    last: textOf(messages.at(-1)?.content ?? ''),
    all: messages.map(({ content }) => textOf(content)).join('\n'),
    tools: (tools ?? []).map(({ name }) => name),
  };
}

/** The vendor refuses a tool call without its result in the next message, and a result without its call. */
function checkToolResults(messages: z.infer<typeof Request>['messages'], context: z.RefinementCtx): void {
  let open = new Set<string>();
  for (const { role, content } of messages) {
    const results = blocksOf(content).flatMap((block) => ToolResult.safeParse(block).data?.tool_use_id ?? []);
    const fits = results.length === open.size && results.every((id) => open.has(id));
    if (role === 'user' && !fits) context.addIssue('tool_use ids and tool_result blocks do not match');
    open = new Set(blocksOf(content).flatMap((block) => ToolUse.safeParse(block).data?.id ?? []));
  }
}

const Checked = Request.superRefine(({ messages }, context) => checkToolResults(messages, context));

const stopReason = (turn: Turn) => {
  if (turn.misbehave?.kind === 'refusal') return 'refusal';
  return turn.calls.length > 0 ? 'tool_use' : 'end_turn';
};

const inputUsage = (asked: Asked) => ({
  input_tokens: asked.inputTokens - cachedTokens(asked),
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: cachedTokens(asked),
});

const event = (data: { type: string } & Readonly<Record<string, unknown>>): StreamEvent => ({
  event: data.type,
  data: JSON.stringify(data),
});

function blockEvents(index: number, start: unknown, deltas: readonly unknown[]): StreamEvent[] {
  const at = (type: string, more: object) => event({ type, index, ...more });
  return [
    at('content_block_start', { content_block: start }),
    ...deltas.map((delta) => at('content_block_delta', { delta })),
    at('content_block_stop', {}),
  ];
}

/** Anthropic Messages, written after https://docs.anthropic.com/en/api/messages and …/messages-streaming. */
export const anthropicWire: Wire = {
  path: '/v1/messages',
  key: (headers) => (typeof headers['x-api-key'] === 'string' ? headers['x-api-key'] : undefined),
  badHeaders: (headers) => (headers['anthropic-version'] === undefined ? 'anthropic-version: header is required' : null),
  read(body, bytes) {
    const request = Checked.parse(body);
    const stream = request.stream === true;
    return {
      model: request.model,
      stream,
      includeUsage: true,
      conversation: conversationOf(request),
      inputTokens: Math.ceil(bytes / 4),
    };
  },
  answer: (asked, turn) => ({
    id: newId('msg_'),
    type: 'message',
    role: 'assistant',
    model: asked.model,
    content: [
      ...(turn.text === '' ? [] : [{ type: 'text', text: turn.text }]),
      ...turn.calls.map(({ tool, input }) => ({ type: 'tool_use', id: newId('toolu_'), name: tool, input })),
    ],
    stop_reason: stopReason(turn),
    stop_sequence: null,
    usage: { ...inputUsage(asked), output_tokens: outputTokens(turn) },
  }),
  events(asked, turn) {
    const message = {
      id: newId('msg_'),
      type: 'message',
      role: 'assistant',
      model: asked.model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { ...inputUsage(asked), output_tokens: 1 },
    };
    const text =
      turn.text === ''
        ? []
        : [{ start: { type: 'text', text: '' }, deltas: pieces(turn.text).map((t) => ({ type: 'text_delta', text: t })) }];
    const tools = turn.calls.map(({ tool, input }) => ({
      start: { type: 'tool_use', id: newId('toolu_'), name: tool, input: {} },
      deltas: pieces(JSON.stringify(input)).map((json) => ({ type: 'input_json_delta', partial_json: json })),
    }));
    const end = { delta: { stop_reason: stopReason(turn), stop_sequence: null }, usage: { output_tokens: outputTokens(turn) } };
    return [
      event({ type: 'message_start', message }),
      event({ type: 'ping' }),
      ...[...text, ...tools].flatMap(({ start, deltas }, index) => blockEvents(index, start, deltas)),
      event({ type: 'message_delta', ...end }),
      event({ type: 'message_stop' }),
    ];
  },
  error(status, message) {
    const types: Readonly<Record<number, string>> = {
      400: 'invalid_request_error',
      401: 'authentication_error',
      404: 'not_found_error',
      429: 'rate_limit_error',
      529: 'overloaded_error',
    };
    return { status, body: { type: 'error', error: { type: types[status] ?? 'api_error', message } } };
  },
  contextExceeded: () => anthropicWire.error(400, 'prompt is too long: 208310 tokens > 200000 maximum'),
};
