import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { chmod, rm } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CoatcheckError } from '../errors.ts';

export interface ReceiveOptions {
  /** Made by this call; must not exist. Removed again when anything goes wrong. */
  readonly file: string;
  readonly byteLimit: number;
  readonly signal: AbortSignal;
}

/**
 * Writes a change to a file as opaque bytes, counted and digested on the way.
 * @throws CoatcheckError `change_too_large` as soon as the limit is passed; the signal's reason when it is aborted.
 */
export async function receiveBundle(stream: Readable, options: ReceiveOptions): Promise<{ sha256: string; bytes: number }> {
  const digest = createHash('sha256');
  let bytes = 0;
  // 'wx': no link that lies in wait is followed.
  const sink = createWriteStream(options.file, { flags: 'wx' });
  const opened = new Promise<boolean>((resolve) => {
    sink.once('open', () => resolve(true));
    sink.once('error', () => resolve(false));
  });
  try {
    await pipeline(
      stream,
      async function* counted(chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          bytes += chunk.length;
          if (bytes > options.byteLimit) throw tooLarge(options.byteLimit);
          digest.update(chunk);
          yield chunk;
        }
      },
      sink,
      { signal: options.signal },
    );
    // Readable for the cage's user, whatever the umask; the directory above keeps others out.
    await chmod(options.file, 0o644);
    return { sha256: digest.digest('hex'), bytes };
  } catch (thrown) {
    if (await opened) await rm(options.file, { force: true });
    options.signal.throwIfAborted();
    throw thrown;
  }
}

const tooLarge = (byteLimit: number): CoatcheckError =>
  new CoatcheckError(
    'change_too_large',
    `The change is larger than the limit of ${byteLimit} bytes.`,
    'Raise `changeBytes` in the limits of this repository, or ask for a smaller change.',
  );
