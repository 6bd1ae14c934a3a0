import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

/** What the model says next: one per call. */
export type Answer =
  | { text?: string; calls?: { name: string; input: unknown }[]; stop?: string; tokens?: number }
  | { status: number; headers?: Record<string, string>; body: string }
  /** Some bytes of a good answer, then the connection is cut, or ended in good order (`clean`). */
  | { cut: 'before' | 'within' | 'clean' }
  /** These bytes as a 200 event stream. */
  | { stream: string }
  /** Never answers. */
  | { hang: true };

const Body = z.looseObject({
  messages: z.array(z.unknown()),
  tools: z.array(z.unknown()).optional(),
  max_tokens: z.number().optional(),
});
export interface SeenCall {
  readonly requestLine: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: z.infer<typeof Body>;
}

/** A model server on a Unix socket in the place of the door: it plays one answer per call and keeps what it was asked. */
export async function scriptedDoor(dialect: 'anthropic-messages' | 'openai-chat', answers: Answer[]) {
  const directory = await mkdtemp(join(tmpdir(), 'coatcheck-door-'));
  const socket = join(directory, 'door.sock');
  const calls: SeenCall[] = [];
  const asked = Promise.withResolvers<void>();
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Body.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')));
    calls.push({ requestLine: request.url, headers: request.headers, body });
    asked.resolve();
    play(response, dialect, answers.shift() ?? { status: 500, body: '{"error":{"message":"the script is at its end"}}' });
  });
  server.listen(socket);
  await once(server, 'listening');
  return {
    socket,
    calls,
    /** Settles once the first call has come in. */
    asked: asked.promise,
    left: () => answers.length,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function play(response: ServerResponse, dialect: 'anthropic-messages' | 'openai-chat', answer: Answer): void {
  if ('hang' in answer) return;
  if ('status' in answer) {
    response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers }).end(answer.body);
    return;
  }
  if ('cut' in answer && answer.cut === 'before') {
    response.destroy();
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  if ('stream' in answer) {
    response.end(answer.stream);
  } else if ('cut' in answer) {
    const pieces = dialect === 'openai-chat' ? openai({ text: 'Half' }).slice(0, 1) : anthropic({ text: 'Half' }).slice(0, 3);
    if (answer.cut === 'clean') response.end(pieces.join(''));
    else response.write(pieces.join(''), () => response.destroy());
  } else {
    response.end((dialect === 'openai-chat' ? openai(answer) : anthropic(answer)).join(''));
  }
}

interface Said {
  text?: string;
  calls?: { name: string; input: unknown }[];
  stop?: string;
  tokens?: number;
}
const inputOf = (input: unknown): string => (typeof input === 'string' ? input : JSON.stringify(input));
let unique = 0;

function anthropic({ text, calls = [], stop, tokens = 10 }: Said): string[] {
  const event = (data: { type: string } & Record<string, unknown>) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
  const blocks = [
    ...(text === undefined ? [] : [{ start: { type: 'text', text: '' }, delta: { type: 'text_delta', text } }]),
    ...calls.map((call) => ({
      start: { type: 'tool_use', id: `toolu_${++unique}`, name: call.name, input: {} },
      delta: { type: 'input_json_delta', partial_json: inputOf(call.input) },
    })),
  ];
  return [
    event({
      type: 'message_start',
      message: {
        id: 'msg_1',
        type: 'message',
        role: 'assistant',
        model: 'm',
        content: [],
        stop_reason: null,
        usage: { input_tokens: tokens, output_tokens: 1 },
      },
    }),
    ...blocks.flatMap(({ start, delta }, index) => [
      event({ type: 'content_block_start', index, content_block: start }),
      event({ type: 'content_block_delta', index, delta }),
      event({ type: 'content_block_stop', index }),
    ]),
    event({
      type: 'message_delta',
      delta: { stop_reason: stop ?? (calls.length > 0 ? 'tool_use' : 'end_turn') },
      usage: { output_tokens: tokens },
    }),
    event({ type: 'message_stop' }),
  ];
}

function openai({ text, calls = [], stop, tokens = 10 }: Said): string[] {
  const chunk = (delta: unknown, rest: Record<string, unknown> = {}, finish: string | null = null) =>
    `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: finish }], ...rest })}\n\n`;
  return [
    chunk({ role: 'assistant', content: text ?? '' }),
    ...calls.map((call, index) =>
      chunk({
        tool_calls: [
          { index, id: `call_${++unique}`, type: 'function', function: { name: call.name, arguments: inputOf(call.input) } },
        ],
      }),
    ),
    chunk(
      {},
      { usage: { prompt_tokens: tokens, completion_tokens: tokens, total_tokens: 2 * tokens } },
      stop ?? (calls.length > 0 ? 'tool_calls' : 'stop'),
    ),
    'data: [DONE]\n\n',
  ];
}
