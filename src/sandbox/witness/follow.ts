import { execFile } from 'node:child_process';
import type { FileHandle } from 'node:fs/promises';
import { setImmediate as breath, setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { errorText } from '../../errors.ts';
import type { KernelSight, KernelSummary } from '../sandbox.ts';
import { Account } from './account.ts';
import { Lines } from './lines.ts';
import type { Marks } from './marks.ts';

const EVERY_MS = 200;
const CHUNK = 1024 * 1024;
/** What was read is given back to the disk in pieces of this size; one program start each. */
const FREED_AT_ONCE = 4 * 1024 * 1024;
/** What a log may hold of the disk, in bytes: what was not read yet or could not be given back. */
const QUOTA = 64 * 1024 * 1024;

export interface FollowOptions {
  readonly marks: Marks;
  readonly onKernel: (sight: KernelSight) => void;
  /** Called once when the log cannot be kept within its quota or cannot be read: the sandbox must not go on unwitnessed. */
  readonly onLost: (why: string) => void;
  readonly quota?: number | undefined;
}

export interface Follower {
  /** Settles with the totals once the log was read to its end. Never rejects. */
  readonly summary: Promise<KernelSummary>;
  /** Says that the log grows no more. */
  end(): void;
}

/** Follows a log while it grows, gives back the disk that it has used, and closes it at its end. */
export function followLog(log: FileHandle, options: FollowOptions): Follower {
  const ended = new AbortController();
  return { summary: new Following(log, options).run(ended.signal), end: () => ended.abort() };
}

class Following {
  readonly #log: FileHandle;
  readonly #options: FollowOptions;
  readonly #account: Account;
  readonly #lines = new Lines();
  readonly #chunk = Buffer.alloc(CHUNK);
  #read = 0;
  #freed = 0;
  #lost: string | null = null;

  constructor(log: FileHandle, options: FollowOptions) {
    this.#log = log;
    this.#options = options;
    this.#account = new Account(options.marks, options.onKernel);
  }

  async run(ended: AbortSignal): Promise<KernelSummary> {
    try {
      while (!ended.aborted) {
        await this.#catchUp();
        await delay(EVERY_MS, undefined, { signal: ended, ref: false }).catch(() => {});
      }
      await this.#catchUp();
    } catch (thrown) {
      this.#lose(`The log could not be read: ${errorText(thrown)}`);
    } finally {
      await this.#log.close().catch(() => {});
    }
    const { tooLong } = this.#lines;
    return this.#account.summary(this.#read, this.#lost ?? (tooLong === 0 ? null : `${tooLong} lines were too long to be read.`));
  }

  async #catchUp(): Promise<void> {
    for (;;) {
      const { bytesRead } = await this.#log.read(this.#chunk, 0, CHUNK, this.#read);
      if (bytesRead === 0) break;
      this.#read += bytesRead;
      for (const line of this.#lines.push(this.#chunk.subarray(0, bytesRead))) this.#account.line(line, performance.now());
      if (this.#read - this.#freed >= FREED_AT_ONCE) await this.#giveBack();
      await this.#checkQuota();
      await breath();
    }
    this.#account.settle(performance.now());
  }

  /** Frees the blocks of what was read; the writer's place in the file stays as it is. See fallocate(1), `--punch-hole`. */
  async #giveBack(): Promise<void> {
    const length = this.#read - this.#freed - (this.#read % 4096);
    const place = ['--punch-hole', '--offset', String(this.#freed), '--length', String(length)];
    await promisify(execFile)('fallocate', [...place, `/proc/${process.pid}/fd/${this.#log.fd}`], { timeout: 10_000 }).then(
      () => {
        this.#freed += length;
      },
      // It counts towards the quota then.
      () => {},
    );
  }

  async #checkQuota(): Promise<void> {
    const quota = this.#options.quota ?? QUOTA;
    const held = (await this.#log.stat()).size - this.#freed;
    if (held > quota) this.#lose(`The kernel's log outgrew its quota: ${held} bytes are kept or unread, ${quota} are allowed.`);
  }

  #lose(why: string): void {
    if (this.#lost !== null) return;
    this.#lost = why;
    this.#options.onLost(why);
  }
}
