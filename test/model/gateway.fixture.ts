import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import type { TestContext } from 'node:test';
import { z } from 'zod';
import { ControlEvent } from '../../src/audit/events.ts';
import { modelDispatcher } from '../../src/model/dispatcher.ts';
import { createModelGateway } from '../../src/model/gateway.ts';
import type { ModelCall, Reservation } from '../../src/model/gateway-options.ts';
import type { Usage } from '../../src/model/usage.ts';
import type { VendorFeature } from '../../src/policy/vendor-features.ts';
import type { ModelDialect } from '../../src/task/work-order.ts';
import { startScriptedModel } from './model.ts';
import type { Script } from './script.ts';

export const ATTEMPT_KEY = 'attempt-key-0123456789abcdef';
export const REAL_KEY = 'real-key-that-nobody-inside-may-see';
export const PRICE = { input: 3, output: 15, cachedInput: 0.3 };

export interface Fixture {
  /** Where the gateway is mounted. */
  readonly url: string;
  readonly calls: ModelCall[];
  readonly reserved: { id: string; tokens: number }[];
  readonly settled: { id: string; usage: Usage }[];
  readonly stop: AbortController;
  /** Resolves when so many calls are recorded. */
  recorded(count: number): Promise<void>;
}

export interface FixtureOptions {
  readonly dialect: ModelDialect;
  readonly baseUrl: string;
  readonly reserve?: (tokens: number) => Reservation;
  readonly open?: () => boolean;
  readonly bodyLimit?: number;
  readonly features?: readonly VendorFeature[];
}

/** The gateway on a port of its own, with a ledger in memory. */
export async function startGateway(t: TestContext, options: FixtureOptions): Promise<Fixture> {
  const calls: ModelCall[] = [];
  const reserved: Fixture['reserved'] = [];
  const settled: Fixture['settled'] = [];
  const waiting: (() => void)[] = [];
  const stop = new AbortController();
  const dispatcher = modelDispatcher({ proxy: null, authorities: [] });
  const { dialect, baseUrl } = options;
  const gateway = createModelGateway({
    prefix: '/model',
    resolve: async (key) =>
      key !== ATTEMPT_KEY
        ? null
        : {
            attempt: { task: 't', attempt: 1 },
            open: options.open?.() ?? true,
            provider: {
              dialect,
              baseUrl,
              apiKey: REAL_KEY,
              model: 'granted-model',
              features: options.features ?? [],
              price: PRICE,
            },
          },
    reserve: async (_attempt, tokens) => {
      const answer = options.reserve?.(tokens) ?? { granted: true, id: `r${reserved.length}` };
      if (answer.granted) reserved.push({ id: answer.id, tokens });
      return answer;
    },
    settle: async (id, usage) => void settled.push({ id, usage }),
    record: async (_attempt, call) => {
      ControlEvent.parse(call);
      calls.push(call);
      for (const wake of waiting.splice(0)) wake();
    },
    dispatcher,
    signal: stop.signal,
    ...(options.bodyLimit === undefined ? {} : { bodyLimit: options.bodyLimit }),
  });
  const failures: unknown[] = [];
  const server = createServer((request, response) => void gateway(request, response).catch((error) => failures.push(error)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    stop.abort();
    server.closeAllConnections();
    server.close();
    await dispatcher.destroy();
    if (failures.length > 0) throw new AggregateError(failures, 'the gateway failed');
  });
  const { port } = z.object({ port: z.int() }).parse(server.address());
  const recorded = async (count: number) => {
    while (calls.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  return { url: `http://127.0.0.1:${port}/model`, calls, reserved, settled, stop, recorded };
}

/** A scripted model and the gateway before it. */
export async function startBoth(t: TestContext, dialect: ModelDialect, script: Script, more: Partial<FixtureOptions> = {}) {
  const model = await startScriptedModel({ dialect, script, key: REAL_KEY });
  t.after(() => model.close());
  const gateway = await startGateway(t, { dialect, baseUrl: `${model.url}/v1`, ...more });
  return { model, gateway };
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly cut: boolean;
}

/** A plain HTTP call to the gateway, without a vendor's client. */
export function call(url: string, body: unknown, options: { key?: string; method?: string } = {}): Promise<RawAnswer> {
  const payload = typeof body === 'string' ? body : JSON.stringify(body);
  const headers = { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' };
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, {
      method: options.method ?? 'POST',
      headers: { ...headers, authorization: `Bearer ${options.key ?? ATTEMPT_KEY}` },
    });
    request.once('error', reject);
    request.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      const done = (cut: boolean) => resolve({ status: response.statusCode ?? 0, headers: response.headers, text, cut });
      response.once('end', () => done(false));
      response.once('error', () => done(true));
    });
    request.end(payload);
  });
}

/** The smallest request of a dialect, with more in it. */
export const ask = (more: object = {}) => ({
  model: 'm',
  max_tokens: 100,
  messages: [{ role: 'user', content: 'hello' }],
  ...more,
});

export const PATHS = { 'anthropic-messages': '/v1/messages', 'openai-chat': '/v1/chat/completions' } as const;
