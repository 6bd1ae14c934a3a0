import { mkdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { openQuarantine } from '../git/quarantine.ts';
import { receiveBundle } from '../git/receive-bundle.ts';
import type { Remote } from '../git/remote.ts';
import type { AttemptRef } from './record.ts';

/**
 * Where changes are kept between their arrival and their publication: one directory per attempt, removed with it.
 */
export function openChanges(options: { readonly directory: string }) {
  const home = (ref: AttemptRef) => path.join(options.directory, 'changes', `${ref.task}-${ref.attempt}`);
  return {
    async receive(ref: AttemptRef, bundle: Readable, byteLimit: number, signal: AbortSignal) {
      await mkdir(home(ref), { recursive: true, mode: 0o700 });
      const file = path.join(home(ref), 'change.bundle');
      // A host whose upload was cut sends it again from its beginning.
      await rm(file, { force: true });
      return { file, ...(await receiveBundle(bundle, { file, byteLimit, signal })) };
    },

    /** A quarantine with the base in it; to be disposed of. */
    quarantine: (ref: AttemptRef, at: { remote: Remote; base: string; byteLimit: number }, signal: AbortSignal) =>
      openQuarantine({ directory: path.join(home(ref), 'quarantine'), ...at, signal }),

    remove: (ref: AttemptRef): Promise<void> => rm(home(ref), { recursive: true, force: true }),

    async proof(ref: AttemptRef): Promise<{ kind: string; id: string; gone: boolean }> {
      const there = await stat(home(ref)).then(
        () => true,
        () => false,
      );
      return { kind: 'change', id: path.basename(home(ref)), gone: !there };
    },
  };
}
export type Changes = ReturnType<typeof openChanges>;
