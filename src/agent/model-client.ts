import { Readable } from 'node:stream';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import type { LanguageModel } from 'ai';
import { Client } from 'undici';
import type { ModelAccess } from './harness.ts';

/** The door's own name for the model route; it resolves nowhere. Part of the door's contract. */
const ORIGIN = 'http://model.coatcheck.internal';
/** Silence after which a call counts as cut: before the first byte, and between bytes. Milliseconds. */
const FIRST_BYTE_MS = 10 * 60_000;
const SILENCE_MS = 5 * 60_000;

/** The model behind the door, in its dialect. It holds no key: the gateway puts one on. */
export function modelBehindDoor(access: ModelAccess): LanguageModel {
  const fetch = fetchThroughDoor(access.doorSocket);
  const baseURL = `${ORIGIN}/v1`;
  // The clients insist on a key, and one from their environment variable would be taken in its place.
  const apiKey = 'held-behind-the-door';
  if (access.dialect === 'anthropic-messages') return createAnthropic({ baseURL, apiKey, fetch })(access.name);
  return createOpenAICompatible({ name: 'coatcheck', baseURL, apiKey, fetch, includeUsage: true }).chatModel(access.name);
}

/** `fetch` for a proxy that listens on a Unix socket: the request line carries the whole URL (RFC 9112, section 3.2.2). */
export function fetchThroughDoor(socketPath: string): typeof globalThis.fetch {
  return async (input, init) => {
    const request = new Request(input, init);
    // One connection per call: nothing is left open between turns, and a door that was shut is noticed at once.
    const client = new Client(ORIGIN, { socketPath, headersTimeout: FIRST_BYTE_MS, bodyTimeout: SILENCE_MS });
    try {
      const response = await client.request({
        path: request.url,
        method: 'POST',
        headers: Object.fromEntries(request.headers),
        body: Buffer.from(await request.arrayBuffer()),
        signal: init?.signal ?? null,
      });
      response.body.once('close', () => void client.destroy().catch(() => undefined));
      return new Response(Readable.toWeb(response.body), { status: response.statusCode, headers: flat(response.headers) });
    } catch (thrown) {
      await client.destroy();
      throw thrown;
    }
  };
}

function flat(headers: Readonly<Record<string, string | string[] | undefined>>): [string, string][] {
  return Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, [value].flat().join(', ')]]));
}
