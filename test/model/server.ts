import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { anthropicWire } from './anthropic-wire.ts';
import { openaiWire } from './openai-wire.ts';
import { Player, type Turn } from './script.ts';
import type { Asked, Wire } from './wire.ts';

export interface RecordedRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
  readonly status: number;
  /** Whether the client left before the end of the answer. */
  readonly left: boolean;
}

/**
 * The scripted model server: a vendor's wire dialect as the vendor speaks it, answers from a script.
 * Besides, under `/_script`: `GET requests` gives what was asked so far, `GET hanging/N` answers once N answers hang,
 * `POST release` lets them go.
 */
export class ScriptedServer {
  readonly server: Server = createServer((request, response) => {
    this.#handle(request, response).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(500);
      response.end(String(error));
    });
  });
  readonly #wire: Wire;
  readonly #player: Player;
  readonly #key: string;
  readonly #requests: RecordedRequest[] = [];
  #released = Promise.withResolvers<void>();
  readonly #hanging = new Set<ServerResponse>();
  readonly #bell = new EventEmitter();

  constructor(options: { dialect: 'anthropic-messages' | 'openai-chat'; script: unknown; key: string }) {
    this.#wire = options.dialect === 'anthropic-messages' ? anthropicWire : openaiWire;
    this.#player = new Player(options.script);
    this.#key = options.key;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === '/_script/requests') return json(response, 200, this.#requests);
    const [, awaited] = /^\/_script\/hanging\/(\d+)$/.exec(request.url ?? '') ?? [];
    if (awaited !== undefined) {
      while (this.#hanging.size < Number(awaited)) await once(this.#bell, 'hangs');
      return json(response, 200, {});
    }
    if (request.url === '/_script/release') {
      this.#released.resolve();
      this.#released = Promise.withResolvers();
      return json(response, 200, {});
    }
    const raw = await text(request);
    const body = parse(raw);
    let left = false;
    try {
      response.once('close', () => {
        left = !response.writableFinished;
      });
      await this.#answer(request, raw.length, body, response);
      if (!response.closed) await once(response, 'close');
    } finally {
      const headers = z.record(z.string(), z.string()).catch({}).parse(request.headers);
      this.#requests.push({ path: request.url ?? '', headers, body, status: response.statusCode, left });
    }
  }

  async #answer(request: IncomingMessage, bytes: number, body: unknown, response: ServerResponse): Promise<void> {
    const wire = this.#wire;
    const fail = (status: number, message: string) => json(response, status, wire.error(status, message).body);
    if (request.method !== 'POST' || request.url !== wire.path) return fail(404, `no ${request.method} ${request.url} here`);
    if (wire.key(request.headers) !== this.#key) return fail(401, 'invalid api key');
    const badHeaders = wire.badHeaders(request.headers);
    if (badHeaders !== null) return fail(400, badHeaders);
    let asked: Asked;
    try {
      asked = wire.read(body, bytes);
    } catch (error) {
      return fail(400, error instanceof z.ZodError ? z.prettifyError(error) : String(error));
    }
    const turn = this.#player.next(asked.conversation);
    if (turn === undefined) {
      const { turn: number, last, tools } = asked.conversation;
      return fail(400, `the script has no answer: turn ${number}, tools ${tools.join(' ')}, last text: ${last.slice(0, 200)}`);
    }
    return this.#play(asked, turn, response);
  }

  async #play(asked: Asked, turn: Turn, response: ServerResponse): Promise<void> {
    const { misbehave } = turn;
    switch (misbehave?.kind) {
      case 'status': {
        if (misbehave.retryAfter !== undefined) response.setHeader('retry-after', String(misbehave.retryAfter));
        const { status, body } = this.#wire.error(misbehave.status, misbehave.message ?? `scripted ${misbehave.status}`);
        return json(response, status, body);
      }
      case 'context_exceeded': {
        const { status, body } = this.#wire.contextExceeded();
        return json(response, status, body);
      }
      case 'hang':
        this.#hanging.add(response);
        this.#bell.emit('hangs');
        await Promise.race([this.#released.promise, once(response, 'close')]);
        this.#hanging.delete(response);
        break;
      case 'nonsense':
        response.writeHead(200, { 'content-type': asked.stream ? 'text/event-stream' : 'application/json' });
        response.end(Buffer.from('data: {"half\n\n\u0000\u00ff<html>event: what\n\n'));
        return;
    }
    return asked.stream ? this.#stream(asked, turn, response) : json(response, 200, this.#wire.answer(asked, turn));
  }

  async #stream(asked: Asked, turn: Turn, response: ServerResponse): Promise<void> {
    const { misbehave } = turn;
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    for (const [index, { event, data }] of this.#wire.events(asked, turn).entries()) {
      if (response.destroyed) return;
      if (misbehave?.kind === 'cut' && index === misbehave.afterEvents) {
        response.destroy();
        return;
      }
      if (misbehave?.kind === 'slow') await wait(misbehave.msPerEvent);
      // Out of this process before the next, so that a cut comes after what was said.
      await written(response, `${event === undefined ? '' : `event: ${event}\n`}data: ${data}\n\n`);
    }
    response.end();
  }
}

const written = (response: ServerResponse, data: string) =>
  new Promise<void>((resolve) => {
    response.write(data, () => resolve());
  });

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'request-id': 'req_scripted' });
  response.end(JSON.stringify(body));
}

function parse(raw: string): unknown {
  try {
    return JSON.parse(raw === '' ? 'null' : raw);
  } catch {
    return null;
  }
}
