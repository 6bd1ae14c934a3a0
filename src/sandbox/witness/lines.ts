/** The longest line that is read: arguments and environment are 2 MiB each at most, and a byte five characters at most. */
const LINE_MAX = 32 * 1024 * 1024;

/** Puts lines together out of chunks of bytes; a line too long is left out and counted. */
export class Lines {
  #parts: Buffer[] = [];
  #length = 0;
  #skipping = false;
  tooLong = 0;

  /** The lines that are whole with this chunk. The chunk's memory may be used again afterwards. */
  push(chunk: Buffer): string[] {
    const last = chunk.lastIndexOf(0x0a);
    if (last === -1) {
      this.#keep(chunk);
      return [];
    }
    const whole = Buffer.concat([...this.#parts, chunk.subarray(0, last)]);
    this.#parts = [];
    this.#length = 0;
    const lines = whole.toString('utf8').split('\n');
    if (this.#skipping) lines.shift();
    this.#skipping = false;
    this.#keep(chunk.subarray(last + 1));
    return lines;
  }

  #keep(rest: Buffer): void {
    if (rest.length === 0 || this.#skipping) return;
    this.#parts.push(Buffer.from(rest));
    this.#length += rest.length;
    if (this.#length <= LINE_MAX) return;
    this.#parts = [];
    this.#length = 0;
    this.#skipping = true;
    this.tooLong += 1;
  }
}
