import { existsSync, readFileSync } from 'node:fs';

/** How often the counter is read; one small file. */
const EVERY_MS = 200;

/** Whether the hierarchy of memory cgroups, version 1 or 2, can be seen from here at all. */
export function seesMemoryCgroups(): boolean {
  if (existsSync('/sys/fs/cgroup/memory/memory.oom_control')) return true;
  try {
    return readFileSync('/sys/fs/cgroup/cgroup.controllers', 'utf8').trim().split(' ').includes('memory');
  } catch {
    return false;
  }
}

/** The file that holds the `oom_kill` counter of a process's memory cgroup; null where there is none to be seen. */
function counterFile(pid: number): string | null {
  try {
    const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').split('\n');
    // Lines are `hierarchy:controllers:path`, see cgroups(7); version 2 has the one line `0::path`.
    const v1 = lines.find((line) => line.split(':')[1]?.split(',').includes('memory'));
    const v2 = lines.find((line) => line.startsWith('0::'));
    const file =
      v1 === undefined
        ? `/sys/fs/cgroup${v2?.split(':')[2] ?? ''}/memory.events`
        : `/sys/fs/cgroup/memory${v1.split(':').slice(2).join(':')}/memory.oom_control`;
    readFileSync(file);
    return file;
  } catch {
    return null;
  }
}

/** Whether the counter of a process's memory cgroup can be read from here. */
export const readsMemoryOf = (pid: number): boolean => counterFile(pid) !== null;

function kills(file: string): number {
  try {
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync(file, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/**
 * Watches a sandbox's memory cgroup for kills by the kernel. gVisor's guest hangs after one, while Docker goes on to call
 * the container running: only this counter tells.
 * @param pid the sandbox's process on the host
 * @returns null when the counter cannot be read from here.
 */
export function watchMemory(pid: number, onKill: () => void): { check(): boolean; close(): void } | null {
  const file = counterFile(pid);
  if (file === null) return null;
  const before = kills(file);
  let seen = false;
  const check = () => {
    if (!seen && kills(file) > before) {
      seen = true;
      clearInterval(timer);
      onKill();
    }
    return seen;
  };
  const timer = setInterval(check, EVERY_MS);
  timer.unref();
  return { check, close: () => clearInterval(timer) };
}
