import { z } from 'zod';
import { isObject, named, objects, unknownFields } from './refusal.ts';
import { DEFAULT_OUTPUT_TOKENS, type Dialect, type JsonObject } from './wire-dialect.ts';

/** Fields of https://docs.anthropic.com/en/api/messages; `container` and `mcp_servers` are left out on purpose. */
const FIELDS: ReadonlySet<string> = new Set([
  'model',
  'messages',
  'system',
  'max_tokens',
  'metadata',
  'stop_sequences',
  'stream',
  'temperature',
  'top_k',
  'top_p',
  'tools',
  'tool_choice',
  'thinking',
  'output_config',
  'output_format',
  'service_tier',
  'context_management',
  'cache_control',
]);

/** Tools that the client carries out itself; all others with a type run at the vendor. */
const CLIENT_TOOL = /^(?:custom|(?:bash|text_editor|computer|memory)_\d{8})$/;

/** Blocks that carry what they hold. */
const BLOCKS: ReadonlySet<string> = new Set([
  'text',
  'image',
  'document',
  'search_result',
  'tool_use',
  'tool_result',
  'thinking',
  'redacted_thinking',
]);
const SOURCES: ReadonlySet<string> = new Set(['base64', 'text', 'content']);

const Usage = z.object({
  input_tokens: z.number().nullish(),
  output_tokens: z.number().nullish(),
  cache_read_input_tokens: z.number().nullish(),
  cache_creation_input_tokens: z.number().nullish(),
});
const Answer = z.object({ type: z.literal('message'), model: z.string(), usage: Usage });
const StreamEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('message_start'), message: Answer }),
  z.object({ type: z.literal('message_delta'), usage: Usage.optional() }),
  z.object({ type: z.literal('message_stop') }),
]);

/** Anthropic Messages (https://docs.anthropic.com/en/api/messages, streaming at …/messages-streaming). */
export const anthropicMessages: Dialect = {
  paths: { '/v1/messages': { counted: true }, '/v1/messages/count_tokens': { counted: false } },
  // The vendor's own clients take the base with `/v1` or without it.
  url: (baseUrl, path) => baseUrl.replace(/\/+$/, '').replace(/\/v1$/, '') + path,
  authorization: (apiKey) => ({ 'x-api-key': apiKey }),
  requestHeaders: ['anthropic-version', 'anthropic-beta'],
  refused(body) {
    const tools = objects(body['tools'], 'tools');
    const foreign = tools.list.filter(({ type }) => type !== undefined && !(typeof type === 'string' && CLIENT_TOOL.test(type)));
    const messages = objects(body['messages'], 'messages');
    return [
      ...unknownFields(body, FIELDS),
      ...tools.refused,
      ...foreign.map(({ type }) => `the tool ${named(type)}`),
      ...messages.refused,
      ...refusedContent(body['system']),
      ...messages.list.flatMap((message) => refusedContent(message['content'])),
    ];
  },
  outgoing: (body, model) => ({ ...body, model }),
  outputLimit: ({ max_tokens }) => (typeof max_tokens === 'number' && max_tokens > 0 ? max_tokens : DEFAULT_OUTPUT_TOKENS),
  observe(message, seen) {
    const whole = Answer.safeParse(message);
    if (whole.success) {
      seen.model = whole.data.model;
      addUsage(whole.data.usage, seen);
      seen.complete = true;
      return;
    }
    const event = StreamEvent.safeParse(message);
    if (!event.success) return;
    if (event.data.type === 'message_start') {
      seen.model = event.data.message.model;
      addUsage(event.data.message.usage, seen);
    } else if (event.data.type === 'message_delta') {
      if (event.data.usage) addUsage(event.data.usage, seen);
    } else {
      seen.complete = true;
    }
  },
  error: (type, message) => ({ type: 'error', error: { type, message } }),
};

function refusedContent(content: unknown): readonly string[] {
  if (content === undefined || content === null || typeof content === 'string') return [];
  const blocks = objects(content, 'content blocks');
  return [...blocks.refused, ...blocks.list.flatMap(refusedBlock)];
}

function refusedBlock(block: JsonObject): readonly string[] {
  const { type, source, content } = block;
  if (typeof type !== 'string' || !BLOCKS.has(type)) return [`the content block ${named(type)}`];
  // A search result's source is a label, not something that the vendor opens.
  if (type === 'search_result' || source === undefined) return refusedContent(content);
  if (!isObject(source) || typeof source['type'] !== 'string' || !SOURCES.has(source['type'])) {
    return [`a source of type ${named(isObject(source) ? source['type'] : undefined)}`];
  }
  return [...refusedContent(source['content']), ...refusedContent(content)];
}

/** Counts are cumulative: a later one replaces an earlier one (it may repeat those of the input). */
function addUsage(usage: z.infer<typeof Usage>, seen: Parameters<Dialect['observe']>[1]): void {
  const before = seen.usage;
  const cached = usage.cache_read_input_tokens ?? before.cachedTokens;
  const written = usage.cache_creation_input_tokens ?? before.cacheWriteTokens;
  const plain = usage.input_tokens ?? before.inputTokens - before.cachedTokens - before.cacheWriteTokens;
  seen.usage = {
    // The dialect counts cached input apart from `input_tokens`.
    inputTokens: plain + cached + written,
    outputTokens: usage.output_tokens ?? before.outputTokens,
    cachedTokens: cached,
    cacheWriteTokens: written,
  };
}
