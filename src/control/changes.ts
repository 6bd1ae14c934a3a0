import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { openQuarantine } from '../git/quarantine.ts';
import { receiveBundle } from '../git/receive-bundle.ts';
import type { Remote } from '../git/remote.ts';
import type { CleanupProof } from '../task/protocol.ts';
import type { AttemptRef } from './record.ts';

/** How long a held change is kept for somebody to decide about it. */
export const KEPT_MS = 14 * 86_400_000;

/**
 * Where changes are kept between their arrival and their publication: one directory per attempt, removed with it. That of
 * a held change stays behind, with the bundle as it came, until it is too old.
 */
export function openChanges(options: { readonly directory: string }) {
  const all = path.join(options.directory, 'changes');
  const home = (ref: AttemptRef) => path.join(all, `${ref.task}-${ref.attempt}`);
  const bundleIn = (directory: string) => path.join(directory, 'change.bundle');
  const arrivedAt = (directory: string): Promise<number | null> =>
    stat(bundleIn(directory)).then(
      ({ mtimeMs }) => mtimeMs,
      () => null,
    );
  return {
    async receive(ref: AttemptRef, bundle: Readable, byteLimit: number, signal: AbortSignal) {
      await mkdir(home(ref), { recursive: true, mode: 0o700 });
      const file = bundleIn(home(ref));
      // A host whose upload was cut sends it again from its beginning.
      await rm(file, { force: true });
      return { file, ...(await receiveBundle(bundle, { file, byteLimit, signal })) };
    },

    /** A quarantine with the base in it; to be disposed of. */
    quarantine: (ref: AttemptRef, at: { remote: Remote; base: string; byteLimit: number }, signal: AbortSignal) =>
      openQuarantine({ directory: path.join(home(ref), 'quarantine'), ...at, signal }),

    remove: (ref: AttemptRef): Promise<void> => rm(home(ref), { recursive: true, force: true }),

    /** Until when a change is kept that is not removed with its attempt. */
    keptUntil: async (ref: AttemptRef): Promise<Date> => new Date(((await arrivedAt(home(ref))) ?? Date.now()) + KEPT_MS),

    /** Removes changes that came too long ago, at `now` in milliseconds since 1970; returns their names. */
    async removeOld(now: number): Promise<string[]> {
      const removed: string[] = [];
      for (const name of await readdir(all).catch(() => [])) {
        const arrived = await arrivedAt(path.join(all, name));
        if (arrived === null || now - arrived < KEPT_MS) continue;
        await rm(path.join(all, name), { recursive: true, force: true });
        removed.push(name);
      }
      return removed;
    },

    /** What is left of a change: nothing, or a bundle that is kept on purpose, and until when. */
    async proof(ref: AttemptRef): Promise<CleanupProof['looked'][number]> {
      const row = { kind: 'change', id: path.basename(home(ref)) };
      const there = await stat(home(ref)).then(
        () => true,
        () => false,
      );
      return there ? { ...row, gone: false, keptUntil: (await this.keptUntil(ref)).toISOString() } : { ...row, gone: true };
    },
  };
}
export type Changes = ReturnType<typeof openChanges>;
