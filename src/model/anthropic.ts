import { z } from 'zod';
import type { VendorFeature } from '../policy/vendor-features.ts';
import { isObject, named, never, objects, type Refusal, unknownFields } from './refusal.ts';
import { DEFAULT_OUTPUT_TOKENS, type Dialect, type JsonObject } from './wire-dialect.ts';

/** Fields of https://docs.anthropic.com/en/api/messages that every request may have. */
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

const FIELD_FEATURES: Readonly<Record<string, VendorFeature>> = { container: 'code_execution', mcp_servers: 'remote_mcp' };

/** Tools that the client carries out itself; all others with a type run at the vendor. */
const CLIENT_TOOL = /^(?:custom|(?:bash|text_editor|computer|memory)_\d{8})$/;
const TOOL_FEATURES: readonly (readonly [RegExp, VendorFeature])[] = [
  [/^web_(?:search|fetch)_\d{8}$/, 'web_fetch'],
  [/^code_execution_\d{8}$/, 'code_execution'],
  [/^mcp_toolset$/, 'remote_mcp'],
];

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
const SOURCE_FEATURES: Readonly<Record<string, VendorFeature>> = { url: 'url_inputs', file: 'stored_files' };

/** Blocks in which a conversation holds what the vendor did before. */
const BLOCK_FEATURES: Readonly<Record<string, VendorFeature>> = {
  web_search_tool_result: 'web_fetch',
  web_fetch_tool_result: 'web_fetch',
  code_execution_tool_result: 'code_execution',
  bash_code_execution_tool_result: 'code_execution',
  text_editor_code_execution_tool_result: 'code_execution',
  mcp_tool_use: 'remote_mcp',
  mcp_tool_result: 'remote_mcp',
  container_upload: 'stored_files',
};
/** The same for the vendor's tools as a `server_tool_use` names them. */
const SERVER_TOOLS: Readonly<Record<string, VendorFeature>> = {
  web_search: 'web_fetch',
  web_fetch: 'web_fetch',
  code_execution: 'code_execution',
  bash_code_execution: 'code_execution',
  text_editor_code_execution: 'code_execution',
};

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
      ...unknownFields(body, FIELDS, FIELD_FEATURES),
      ...skills(body['container']),
      ...tools.refused,
      ...foreign.map(({ type }) => ({ what: `the tool ${named(type)}`, feature: toolFeature(type) })),
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

const featureIn = (features: Readonly<Record<string, VendorFeature>>, name: unknown): VendorFeature | null =>
  typeof name === 'string' && Object.hasOwn(features, name) ? (features[name] ?? null) : null;

const toolFeature = (type: unknown): VendorFeature | null =>
  TOOL_FEATURES.find(([pattern]) => typeof type === 'string' && pattern.test(type))?.[1] ?? null;

/** Skills of a container are files that the vendor keeps. */
const skills = (container: unknown): Refusal[] =>
  isObject(container) && container['skills'] != null ? [{ what: 'skills in a container', feature: 'stored_files' }] : [];

function refusedContent(content: unknown): readonly Refusal[] {
  if (content === undefined || content === null || typeof content === 'string') return [];
  const blocks = objects(content, 'content blocks');
  return [...blocks.refused, ...blocks.list.flatMap(refusedBlock)];
}

function refusedBlock(block: JsonObject): readonly Refusal[] {
  const { type, source, content } = block;
  if (typeof type !== 'string' || !BLOCKS.has(type)) {
    const feature = type === 'server_tool_use' ? featureIn(SERVER_TOOLS, block['name']) : featureIn(BLOCK_FEATURES, type);
    return [{ what: `the content block ${named(type)}`, feature }, ...refusedSources(content)];
  }
  // A search result's source is a label, not something that the vendor opens.
  if (type === 'search_result' || source === undefined) return refusedContent(content);
  return [...refusedSource(source), ...refusedContent(content)];
}

function refusedSource(source: unknown): readonly Refusal[] {
  if (!isObject(source)) return [never(`a source of type ${named(undefined)}`)];
  const { type } = source;
  if (typeof type !== 'string' || !SOURCES.has(type))
    return [{ what: `a source of type ${named(type)}`, feature: featureIn(SOURCE_FEATURES, type) }];
  return refusedContent(source['content']);
}

/** What the vendor's own results hold is of many shapes; what counts in them is what they would have it open again. */
function refusedSources(value: unknown): readonly Refusal[] {
  if (Array.isArray(value)) return value.flatMap(refusedSources);
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([name, member]) =>
    name === 'source' && isObject(member) ? refusedSource(member) : refusedSources(member),
  );
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
