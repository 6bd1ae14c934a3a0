/**
 * Keeps the head and the tail of a stream of bytes, at most `limit` bytes in all, and counts the rest.
 * Memory is bounded by twice the limit, whatever comes.
 */
export class CappedOutput {
  readonly #headLimit: number;
  readonly #tailLimit: number;
  #head: Buffer[] = [];
  #headBytes = 0;
  #tail: Buffer[] = [];
  #tailBytes = 0;
  #total = 0;

  constructor(limit: number) {
    this.#headLimit = Math.ceil(limit / 2);
    this.#tailLimit = Math.floor(limit / 2);
  }

  add(bytes: Buffer): void {
    this.#total += bytes.length;
    const toHead = bytes.subarray(0, this.#headLimit - this.#headBytes);
    if (toHead.length > 0) {
      // A copy, so that a few kept bytes do not hold the engine's whole read buffer.
      this.#head.push(Buffer.from(toHead));
      this.#headBytes += toHead.length;
    }
    const toTail = bytes.subarray(toHead.length);
    if (toTail.length === 0 || this.#tailLimit === 0) return;
    this.#tail.push(Buffer.from(toTail.subarray(-this.#tailLimit)));
    this.#tailBytes += Math.min(toTail.length, this.#tailLimit);
    if (this.#tailBytes > 2 * this.#tailLimit || this.#tail.length > 1024) this.#compact();
  }

  #compact(): Buffer {
    const tail = Buffer.concat(this.#tail);
    const kept = Buffer.from(tail.subarray(Math.max(0, tail.length - this.#tailLimit)));
    this.#tail = [kept];
    this.#tailBytes = kept.length;
    return kept;
  }

  /** Bytes that came and were not kept. */
  get cut(): number {
    return this.#total - this.#headBytes - this.#compact().length;
  }

  /**
   * The whole as UTF-8 when nothing was cut; else head and tail around a mark that names how many bytes are missing.
   * A character that the cut went through is left out.
   */
  text(): string {
    const cut = this.cut;
    if (cut === 0) return Buffer.concat([...this.#head, ...this.#tail]).toString('utf8');
    const head = new TextDecoder('utf-8').decode(Buffer.concat(this.#head), { stream: true });
    const tail = Buffer.concat(this.#tail);
    let start = 0;
    while (start < 3 && start < tail.length && ((tail[start] ?? 0) & 0xc0) === 0x80) start += 1;
    return `${head}\n[… ${cut} bytes cut …]\n${tail.subarray(start).toString('utf8')}`;
  }
}
