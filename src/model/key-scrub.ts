import { Transform, type TransformCallback } from 'node:stream';

const MARK = Buffer.from('[redacted]');

/** Takes every occurrence of a key out of a stream of bytes, also one that is split over chunks. */
export class KeyScrub extends Transform {
  readonly #key: Buffer;
  #held: Buffer = Buffer.alloc(0);

  constructor(key: string) {
    super();
    this.#key = Buffer.from(key);
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const bytes = scrubbed(Buffer.concat([this.#held, chunk]), this.#key);
    const keep = partAtEnd(bytes, this.#key);
    this.#held = bytes.subarray(bytes.length - keep);
    done(null, bytes.subarray(0, bytes.length - keep));
  }

  override _flush(done: TransformCallback): void {
    done(null, this.#held);
  }
}

function scrubbed(bytes: Buffer, key: Buffer): Buffer {
  if (key.length === 0) return bytes;
  const parts: Buffer[] = [];
  let from = 0;
  for (let at = bytes.indexOf(key); at !== -1; at = bytes.indexOf(key, from)) {
    parts.push(bytes.subarray(from, at), MARK);
    from = at + key.length;
  }
  return parts.length === 0 ? bytes : Buffer.concat([...parts, bytes.subarray(from)]);
}

/** How many bytes at the end may be the beginning of the key. */
function partAtEnd(bytes: Buffer, key: Buffer): number {
  for (let length = Math.min(key.length - 1, bytes.length); length > 0; length -= 1) {
    if (bytes.subarray(bytes.length - length).equals(key.subarray(0, length))) return length;
  }
  return 0;
}
