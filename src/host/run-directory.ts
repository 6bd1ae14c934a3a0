import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

const PREFIX = 'coatcheck-host-';

/** When a process of this machine began, in clock ticks since boot (proc(5), field 22); null when there is none. */
async function startedAt(pid: string): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  // The second field is the program's name in parentheses and may hold anything.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}

/**
 * The directory for this process's runs. It is in the system's temporary directory because a Unix socket's path may
 * have 107 bytes only; its name tells whose it is, so that what a killed process left is found.
 */
export async function openRunRoot(): Promise<{ directory: string; close(): Promise<void> }> {
  const directory = path.join(tmpdir(), `${PREFIX}${process.pid}-${await startedAt(String(process.pid))}`);
  await mkdir(directory, { mode: 0o711 });
  return { directory, close: () => rm(directory, { recursive: true, force: true }) };
}

/** Removes the directories of processes that are no more; their names. */
export async function sweepRunRoots(): Promise<string[]> {
  const removed: string[] = [];
  for (const name of await readdir(tmpdir())) {
    const [, pid, started] = new RegExp(`^${PREFIX}(\\d+)-(\\d+)$`).exec(name) ?? [];
    if (pid === undefined || (await startedAt(pid)) === started) continue;
    await rm(path.join(tmpdir(), name), { recursive: true, force: true });
    removed.push(name);
  }
  return removed;
}
