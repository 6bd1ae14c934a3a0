import { ask, call, PATHS } from '../model/gateway.fixture.ts';
import type { EscapeCase } from './cases.ts';
import type { ModelTarget } from './model-rig.ts';

type Dialect = keyof typeof PATHS;

/** A feature by which the vendor itself would reach out or keep things, and the same request without it. */
interface Feature {
  readonly dialect: Dialect;
  readonly name: string;
  readonly body: object;
  readonly without: object;
  /** How the refusal names it. */
  readonly says: string;
}

const OUTSIDE = 'https://sink.invalid/collect';
const PIXEL = 'iVBORw0KGgo=';
const holding = (...content: object[]) => ({ messages: [{ role: 'user', content }] });
const word = { type: 'text', text: 'x' };

const tool = (dialect: Dialect, type: string, more: object = {}): Feature => ({
  dialect,
  name: `the tool ${type}`,
  body: { tools: [{ type, name: type, ...more }] },
  without: { tools: [] },
  says: type,
});

const field = (dialect: Dialect, name: string, value: unknown): Feature => ({
  dialect,
  name: `the field ${name}`,
  body: { [name]: value },
  without: {},
  says: name,
});

const part = (dialect: Dialect, name: string, block: object, inline: object, says: string): Feature => ({
  dialect,
  name,
  body: holding(word, block),
  without: holding(word, inline),
  says,
});

const image = (source: object) => ({ type: 'image', source });
const inlineImage = image({ type: 'base64', media_type: 'image/png', data: PIXEL });
/** A tool's result, behind the call without which the vendor takes none. */
const answering = (content: object) => ({
  messages: [
    { role: 'user', content: [word] },
    { role: 'assistant', content: [{ type: 'tool_use', id: 't', name: 'look', input: {} }] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't', content: [content] }] },
  ],
});
const imageUrl = (url: string) => ({ type: 'image_url', image_url: { url } });
const inlineUrl = imageUrl(`data:image/png;base64,${PIXEL}`);

const ANTHROPIC: readonly Feature[] = [
  tool('anthropic-messages', 'web_search_20250305'),
  tool('anthropic-messages', 'web_fetch_20250910'),
  tool('anthropic-messages', 'code_execution_20250825'),
  tool('anthropic-messages', 'mcp_toolset', { mcp_server_name: 'x' }),
  tool('anthropic-messages', 'a_tool_of_tomorrow_20270101'),
  field('anthropic-messages', 'mcp_servers', [{ type: 'url', url: OUTSIDE, name: 'x' }]),
  field('anthropic-messages', 'container', 'container_1'),
  field('anthropic-messages', 'a_field_of_tomorrow', { url: OUTSIDE }),
  part('anthropic-messages', 'an image by its URL', image({ type: 'url', url: OUTSIDE }), inlineImage, 'url'),
  part('anthropic-messages', 'a stored file', image({ type: 'file', file_id: 'file_1' }), inlineImage, 'file'),
  {
    dialect: 'anthropic-messages',
    name: 'an image by its URL in a tool result',
    body: answering(image({ type: 'url', url: OUTSIDE })),
    without: answering(inlineImage),
    says: 'url',
  },
  part('anthropic-messages', 'an upload to a container', { type: 'container_upload', file_id: 'f' }, word, 'container_upload'),
  {
    dialect: 'anthropic-messages',
    name: 'a document by its URL in the system prompt',
    body: { system: [{ type: 'document', source: { type: 'url', url: OUTSIDE } }] },
    without: { system: [{ type: 'text', text: 'x' }] },
    says: 'url',
  },
];

const OPENAI: readonly Feature[] = [
  tool('openai-chat', 'web_search'),
  tool('openai-chat', 'code_interpreter'),
  tool('openai-chat', 'mcp', { server_url: OUTSIDE }),
  tool('openai-chat', 'file_search', { vector_store_ids: ['v'] }),
  field('openai-chat', 'web_search_options', {}),
  field('openai-chat', 'plugins', [{ id: 'web' }]),
  field('openai-chat', 'store', true),
  field('openai-chat', 'audio', { voice: 'x' }),
  field('openai-chat', 'a_field_of_tomorrow', { url: OUTSIDE }),
  part('openai-chat', 'an image by its URL', imageUrl(OUTSIDE), inlineUrl, 'an image by its URL'),
  part('openai-chat', 'an image by its URL in capitals', imageUrl(OUTSIDE.toUpperCase()), inlineUrl, 'an image by its URL'),
  part('openai-chat', 'a stored file', { type: 'file', file: { file_id: 'f' } }, word, 'a file'),
  part('openai-chat', 'a file by its URL', { type: 'file', file: { file_data: OUTSIDE } }, word, 'a file'),
  part('openai-chat', 'a video by its URL', { type: 'video_url', video_url: { url: OUTSIDE } }, word, 'video_url'),
];

const refused = ({ dialect, name, body, without, says }: Feature): EscapeCase<ModelTarget> => ({
  row: 57,
  name: `${dialect}: ${name}`,
  attempt: `a request through the model route carries ${name}`,
  expected: '403, naming it; the vendor gets nothing',
  async run(target) {
    const { gateway, model } = target[dialect];
    const url = gateway.url + PATHS[dialect];
    const before = (await model.requests()).length;
    const answer = await call(url, ask(body));
    const sent = (await model.requests()).length - before;
    const control = await call(url, ask(without));
    return {
      held: answer.status === 403 && answer.text.includes(says) && sent === 0,
      seen: `${answer.status} ${answer.text.slice(0, 200)}; the vendor got ${sent} requests`,
      control: { worked: control.status === 200, how: `without it: ${control.status}` },
    };
  },
});

/** Ways past the paths and the key of the granted model. */
const PASSES: readonly { name: string; path: string; key?: string; method?: string; status: number }[] = [
  { name: 'stored files', path: '/v1/files', status: 404 },
  { name: 'batches', path: '/v1/messages/batches', status: 404 },
  { name: 'another dialect’s path', path: '/v1/chat/completions', status: 404 },
  { name: 'a path that climbs', path: '/v1/messages/../files', status: 404 },
  { name: 'an encoded path that climbs', path: '/v1/messages/%2e%2e/files', status: 404 },
  { name: 'a method that lists', path: '/v1/messages', method: 'GET', status: 404 },
  { name: 'another attempt’s key', path: '/v1/messages', key: 'attempt-key-of-another-attempt-00', status: 401 },
];

const passes = PASSES.map(
  ({ name, path, key, method, status }): EscapeCase<ModelTarget> => ({
    row: 57,
    name,
    attempt: `${method ?? 'POST'} ${path}${key === undefined ? '' : ' with a key of another attempt'}`,
    expected: `${status}; the vendor gets nothing`,
    async run(target) {
      const { gateway, model } = target['anthropic-messages'];
      const before = (await model.requests()).length;
      const answer = await call(gateway.url + path, method === 'GET' ? '' : ask(), {
        ...(key && { key }),
        ...(method && { method }),
      });
      const sent = (await model.requests()).length - before;
      const control = await call(gateway.url + PATHS['anthropic-messages'], ask());
      return {
        held: answer.status === status && sent === 0,
        seen: `${answer.status}; the vendor got ${sent} requests`,
        control: { worked: control.status === 200, how: `the granted form: ${control.status}` },
      };
    },
  }),
);

export const CASES: readonly EscapeCase<ModelTarget>[] = [...[...ANTHROPIC, ...OPENAI].map(refused), ...passes];
