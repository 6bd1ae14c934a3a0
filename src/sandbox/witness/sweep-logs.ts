import { chmod, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { LOG_DIRECTORY } from './arguments.ts';
import { logDescriptor } from './find-log.ts';

/** A log is made a moment before the process that holds it open can be seen as such. */
const NEW_MS = 60_000;

/** Makes the directory of the logs, which hold environments, root's alone, where this process may: before the runtime does. */
export async function makeLogDirectory(directory = LOG_DIRECTORY): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await chmod(directory, 0o700);
  } catch {
    // Without root there is no witness either, which is said where one is asked for.
  }
}

/**
 * Removes logs that no living sandbox writes any more: those whose host ended before it had opened them. Logs of sandboxes
 * that live stay, whoever's they are.
 */
export async function sweepLogs(directory = LOG_DIRECTORY, now = Date.now()): Promise<string[]> {
  const names = await readdir(directory).catch(() => []);
  if (names.length === 0) return [];
  const written = await logsInUse();
  const removed: string[] = [];
  for (const name of names) {
    const found = await stat(`${directory}${name}`).catch(() => null);
    if (found === null || now - found.mtimeMs < NEW_MS || written.has(found.ino)) continue;
    await rm(`${directory}${name}`, { force: true });
    removed.push(name);
  }
  return removed;
}

async function logsInUse(): Promise<Set<number>> {
  const inodes = new Set<number>();
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const descriptor = logDescriptor(await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''));
    const file = descriptor === null ? null : await stat(`/proc/${pid}/fd/${descriptor}`).catch(() => null);
    if (file !== null) inodes.add(file.ino);
  }
  return inodes;
}
