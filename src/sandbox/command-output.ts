import { createHash, type Hash } from 'node:crypto';
import { CappedOutput } from './capped-output.ts';
import type { Frame } from './frames.ts';
import type { ExecOptions, ExecResult } from './sandbox.ts';

/** The first `limit` bytes of a stream. */
class Prefix {
  readonly #kept: Buffer[] = [];
  #left: number;
  constructor(limit: number) {
    this.#left = limit;
  }
  /** The part of the bytes that still fitted. */
  add(bytes: Buffer): Buffer {
    const fits = Buffer.from(bytes.subarray(0, this.#left));
    if (fits.length > 0) this.#kept.push(fits);
    this.#left -= fits.length;
    return fits;
  }
  get bytes(): Buffer {
    return Buffer.concat(this.#kept);
  }
}

/** Everything that is known of a command's output; memory stays within a few times the limit. */
export class CommandOutput {
  readonly stdout: Prefix;
  readonly stderr: Prefix;
  readonly both: CappedOutput;
  readonly #live: Prefix;
  readonly #digest: Hash = createHash('sha256');
  readonly #command: number;
  #total = 0;

  /** @param command the number of the command whose output it is. */
  constructor(limit: number, command: number) {
    this.#command = command;
    this.stdout = new Prefix(limit);
    this.stderr = new Prefix(limit);
    this.#live = new Prefix(limit);
    this.both = new CappedOutput(limit);
  }

  /** Bytes so far. */
  get total(): number {
    return this.#total;
  }

  count(bytes: Buffer): void {
    this.#digest.update(bytes);
    this.#total += bytes.length;
  }

  keep({ from, bytes }: Frame, onOutput: ExecOptions['onOutput']): void {
    this[from].add(bytes);
    this.both.add(bytes);
    if (onOutput === undefined) return;
    const live = this.#live.add(bytes);
    if (live.length > 0) onOutput(live);
  }

  result(end: ExecResult['end'], exitCode: number | null, ms: number, note = ''): ExecResult {
    return {
      end,
      exitCode,
      stdout: this.stdout.bytes,
      stderr: this.stderr.bytes,
      output: this.both.text() + note,
      truncated: this.both.cut > 0,
      outputDigest: this.#digest.digest('hex'),
      command: this.#command,
      ms,
    };
  }
}
