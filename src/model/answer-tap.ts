import { StringDecoder } from 'node:string_decoder';
import { NO_USAGE, type Observed } from './usage.ts';
import type { Dialect } from './wire-dialect.ts';

/** Longest JSON answer, and longest line of a stream, that is read for its counts; longer ones pass unread. */
const READ_LIMIT = 16 * 1024 * 1024;

/** How many bytes of a stream there are for each byte of text in it, at the least. */
const STREAM_OVERHEAD = 8;

/** Watches an answer go by and keeps what it tells about its usage; changes and delays nothing. */
export class AnswerTap {
  readonly observed: Observed = { usage: NO_USAGE, model: null, complete: false };
  #bytes = 0;
  readonly #decoder = new StringDecoder('utf8');
  readonly #dialect: Dialect;
  readonly #stream: boolean;
  #text = '';

  /** `stream`: whether the answer is one of server-sent events. */
  constructor(dialect: Dialect, stream: boolean) {
    this.#dialect = dialect;
    this.#stream = stream;
  }

  /** Roughly the bytes that the model wrote: in a stream each few letters travel in an event of their own. */
  get payloadBytes(): number {
    return this.#stream ? this.#bytes / STREAM_OVERHEAD : this.#bytes;
  }

  see(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#text.length < READ_LIMIT) this.#text += this.#decoder.write(chunk);
    if (!this.#stream) return;
    const lines = this.#text.split(/\r\n|\n|\r/);
    this.#text = lines.pop() ?? '';
    for (const line of lines) this.#line(line);
  }

  /** To be called once all of it has gone by. */
  end(): void {
    if (this.#stream) this.#line(this.#text);
    else this.#observe(this.#text);
    this.#text = '';
  }

  /** Both dialects write each event's data on one line. */
  #line(line: string): void {
    if (line.startsWith('data:')) this.#observe(line.slice('data:'.length));
  }

  #observe(json: string): void {
    try {
      this.#dialect.observe(JSON.parse(json), this.observed);
    } catch (error) {
      // Not JSON (`[DONE]`, or nonsense): it tells nothing, and the client gets it as it is.
      if (!(error instanceof SyntaxError)) throw error;
    }
  }
}
