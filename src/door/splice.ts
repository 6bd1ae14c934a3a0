import type { Socket } from 'node:net';
import { passed } from './garbage.ts';

/** Told of every piece that passes; it is on its way already, so cutting is the listener's own business. */
export interface Counting {
  up(bytes: number): void;
  down(bytes: number): void;
}

/**
 * Joins two connections: bytes pass both ways, unopened, with backpressure and without being kept; the end of one
 * direction is passed on by itself. `ended` is called once, when both are closed, with what went wrong, if anything.
 */
export function splice(client: Socket, upstream: Socket, counting: Counting, ended: (problem: Error | null) => void): void {
  let problem: Error | null = null;
  let open = 2;
  const join = (side: Socket, other: Socket) => {
    side.on('error', (error) => {
      // One that has ended and is still written to resets: nothing of its own is missing.
      if (!side.readableEnded) problem ??= error;
    });
    side.once('close', () => {
      // What came before an orderly end is still to be delivered.
      if (side.readableEnded && other.writableEnded && !other.writableFinished) other.once('finish', () => other.destroySoon());
      else other.destroy();
      if (--open === 0) ended(problem);
    });
  };
  join(client, upstream);
  join(upstream, client);
  client.on('data', ({ length }: Buffer) => {
    passed(length);
    counting.up(length);
  });
  upstream.on('data', ({ length }: Buffer) => {
    passed(length);
    counting.down(length);
  });
  client.pipe(upstream);
  upstream.pipe(client);
}
