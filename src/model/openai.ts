import { z } from 'zod';
import type { VendorFeature } from '../policy/vendor-features.ts';
import { isObject, named, never, objects, type Refusal, unknownFields } from './refusal.ts';
import { DEFAULT_OUTPUT_TOKENS, type Dialect, type JsonObject } from './wire-dialect.ts';

/**
 * Fields of https://platform.openai.com/docs/api-reference/chat/create and the sampling knobs that compatible servers
 * add, that every request may have. `plugins`, `audio` and `store` are left out on purpose.
 */
const FIELDS: ReadonlySet<string> = new Set([
  'model',
  'messages',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'functions',
  'function_call',
  'stream',
  'stream_options',
  'max_tokens',
  'max_completion_tokens',
  'temperature',
  'top_p',
  'top_k',
  'min_p',
  'stop',
  'seed',
  'n',
  'frequency_penalty',
  'presence_penalty',
  'repetition_penalty',
  'logit_bias',
  'logprobs',
  'top_logprobs',
  'response_format',
  'reasoning_effort',
  'reasoning',
  'verbosity',
  'prediction',
  'user',
  'safety_identifier',
  'prompt_cache_key',
  'service_tier',
  'metadata',
]);

const FIELD_FEATURES: Readonly<Record<string, VendorFeature>> = { web_search_options: 'web_fetch' };

/** Tools of the vendor's own, as OpenAI's newer API and servers compatible with this one name them. */
const TOOL_FEATURES: Readonly<Record<string, VendorFeature>> = {
  web_search: 'web_fetch',
  web_search_preview: 'web_fetch',
  code_interpreter: 'code_execution',
  mcp: 'remote_mcp',
  file_search: 'stored_files',
};

const PARTS: ReadonlySet<string> = new Set(['text', 'refusal', 'image_url', 'input_audio', 'file']);

const Usage = z.object({
  prompt_tokens: z.number(),
  completion_tokens: z.number(),
  prompt_tokens_details: z.object({ cached_tokens: z.number().nullish() }).nullish(),
});
/** A whole answer and a chunk of a stream look alike as far as this goes. */
const Answer = z.object({ model: z.string().nullish(), usage: Usage.nullish() });

/** OpenAI Chat Completions and what is compatible with it. */
export const openaiChat: Dialect = {
  paths: { '/v1/chat/completions': { counted: true } },
  // A base URL of this dialect holds its version (`https://api.example.com/v1`); a bare origin gets the usual one.
  url(baseUrl, path) {
    const base = new URL(baseUrl);
    const prefix = base.pathname === '/' ? '/v1' : base.pathname.replace(/\/+$/, '');
    return `${base.origin}${prefix}${path.slice('/v1'.length)}`;
  },
  authorization: (apiKey) => ({ authorization: `Bearer ${apiKey}` }),
  requestHeaders: [],
  refused(body) {
    const tools = objects(body['tools'], 'tools');
    const messages = objects(body['messages'], 'messages');
    return [
      ...unknownFields(body, FIELDS, FIELD_FEATURES),
      ...tools.refused,
      ...tools.list
        .filter(({ type }) => type !== 'function')
        .map(({ type }) => ({ what: `the tool ${named(type)}`, feature: toolFeature(type) })),
      ...messages.refused,
      ...messages.list.flatMap((message) => refusedContent(message['content'])),
    ];
  },
  outgoing(body, model) {
    if (body['stream'] !== true) return { ...body, model };
    // Without this a stream does not tell its usage.
    const options = isObject(body['stream_options']) ? body['stream_options'] : {};
    return { ...body, model, stream_options: { ...options, include_usage: true } };
  },
  outputLimit({ max_completion_tokens, max_tokens, n }) {
    const limit = [max_completion_tokens, max_tokens].find((value) => typeof value === 'number' && value > 0);
    const answers = typeof n === 'number' && n > 1 ? n : 1;
    return (typeof limit === 'number' ? limit : DEFAULT_OUTPUT_TOKENS) * answers;
  },
  observe(message, seen) {
    const answer = Answer.safeParse(message);
    if (!answer.success) return;
    seen.model ??= answer.data.model ?? null;
    const { usage } = answer.data;
    if (!usage) return;
    seen.usage = {
      inputTokens: usage.prompt_tokens,
      outputTokens: usage.completion_tokens,
      cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
      cacheWriteTokens: 0,
    };
    // Some servers tell the counts so far with every chunk: they are final when the stream is.
    seen.complete = true;
  },
  error: (type, message) => ({ error: { message, type, param: null, code: type } }),
};

const toolFeature = (type: unknown): VendorFeature | null =>
  typeof type === 'string' && Object.hasOwn(TOOL_FEATURES, type) ? (TOOL_FEATURES[type] ?? null) : null;

function refusedContent(content: unknown): readonly Refusal[] {
  if (content === undefined || content === null || typeof content === 'string') return [];
  const parts = objects(content, 'content parts');
  return [...parts.refused, ...parts.list.flatMap(refusedPart)];
}

function refusedPart(part: JsonObject): readonly Refusal[] {
  const { type, image_url: image, file } = part;
  if (typeof type !== 'string' || !PARTS.has(type)) return [never(`the content part ${named(type)}`)];
  if (type === 'image_url') {
    const url = isObject(image) ? image['url'] : image;
    if (typeof url === 'string' && /^data:/i.test(url)) return [];
    return [{ what: 'an image by its URL', feature: isWeb(url) ? 'url_inputs' : null }];
  }
  return type === 'file' ? refusedFile(file) : [];
}

function refusedFile(file: unknown): readonly Refusal[] {
  const what = 'a file that is not in the request itself';
  if (!isObject(file)) return [never(what)];
  const { file_id: id, file_data: data } = file;
  const stored: Refusal[] = id === undefined ? [] : [{ what, feature: 'stored_files' }];
  if (isWeb(data)) return [...stored, { what, feature: 'url_inputs' }];
  return typeof data === 'string' || (data === undefined && id !== undefined) ? stored : [...stored, never(what)];
}

const isWeb = (url: unknown) => typeof url === 'string' && /^\s*https?:/i.test(url);
