import { readdir, readFile, realpath, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { errorText } from '../errors.ts';
import { MAKING, OWNER_FILE, removeDisk } from './disk.ts';
import { bootOf, type Owner, ownerIsGone } from './owner.ts';

/** Making a disk's directory takes milliseconds; one that is older was left half made. */
const MAKING_MS = 60_000;

const Labels = z.record(z.string(), z.string());

/**
 * Removes work disks whose owners are gone, and what they left half made; gives their names. To be run after their
 * containers are gone: a disk that a sandbox still has open stays mounted for it, unseen.
 */
export async function sweepDisks(directory: string | null, self: Owner, log: (line: string) => void): Promise<string[]> {
  if (directory === null) return [];
  const removed: string[] = [];
  for (const name of await readdir(directory).catch(() => [])) {
    const home = path.join(directory, name);
    try {
      if (name.startsWith(MAKING)) {
        const { mtimeMs } = await stat(home);
        if (Date.now() - mtimeMs < MAKING_MS) continue;
        await rm(home, { recursive: true, force: true });
      } else {
        const labels = Labels.safeParse(JSON.parse(await readFile(path.join(home, OWNER_FILE), 'utf8')));
        if (!labels.success || !isGone(labels.data, self)) continue;
        await removeDisk(await realpath(home));
      }
      removed.push(name);
    } catch (thrown) {
      // One that resists, or that somebody else removes at this moment, must not keep the others.
      log(`sweep: ${errorText(thrown)}`);
    }
  }
  return removed;
}

/** The directory is this machine's own, so whoever wrote into it before the machine's last start is gone. */
const isGone = (labels: Readonly<Record<string, string>>, self: Owner): boolean =>
  ownerIsGone(labels, self) || bootOf(labels) !== self.boot;
