import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { z } from 'zod';

/** A gVisor sandbox as it is seen among the host's processes, below Docker. */
export interface GvisorProcess {
  readonly pid: number;
  readonly id: string;
  /** runsc's state directory, which its own commands need. */
  readonly root: string;
  readonly bundle: string;
}

/** Takes a `runsc-sandbox … boot … ID` command line apart; null for any other process. */
export function parseSandboxProcess(pid: number, commandLine: string): GvisorProcess | null {
  const argv = commandLine.split('\0').filter((argument) => argument !== '');
  const value = (name: string) => argv.find((argument) => argument.startsWith(`--${name}=`))?.slice(name.length + 3);
  const [root, bundle, id] = [value('root'), value('bundle'), argv.at(-1)];
  if (argv[0] !== 'runsc-sandbox' || !argv.includes('boot')) return null;
  if (root === undefined || bundle === undefined || id === undefined || !/^[\w.-]+$/.test(id)) return null;
  return { pid, id, root, bundle };
}

/** All gVisor sandboxes on this host, by whomever they were started. */
async function gvisorProcesses(): Promise<GvisorProcess[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => parseSandboxProcess(Number(pid), await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''))),
  );
  return found.filter((process) => process !== null);
}

/** The part of an OCI bundle's config.json that tells whose sandbox it is. */
const Bundle = z.object({ hostname: z.string() });

async function hostnameIn(bundle: string): Promise<string | null> {
  try {
    return Bundle.parse(JSON.parse(await readFile(`${bundle}/config.json`, 'utf8'))).hostname;
  } catch {
    return null;
  }
}

/**
 * Removes gVisor sandboxes with this host name inside that the engine does not know any more: a restart of dockerd can
 * leave such. Gives the ids of those that are gone now.
 * @param isKnown whether the engine still lists a container with this id
 */
export async function removeOrphans(options: {
  readonly runsc: string;
  readonly hostname: string;
  readonly isKnown: (id: string) => Promise<boolean>;
}): Promise<string[]> {
  const removed: string[] = [];
  for (const orphan of await gvisorProcesses()) {
    if ((await hostnameIn(orphan.bundle)) !== options.hostname || (await options.isKnown(orphan.id))) continue;
    const argv = ['--root', orphan.root, 'delete', '--force', orphan.id];
    await promisify(execFile)(options.runsc, argv, { timeout: 10_000 }).catch(() => {});
    if (await isGone(orphan)) removed.push(orphan.id);
  }
  return removed;
}

async function isGone(orphan: GvisorProcess): Promise<boolean> {
  for (let looks = 0; looks < 50; looks += 1) {
    const commandLine = await readFile(`/proc/${orphan.pid}/cmdline`, 'utf8').catch(() => '');
    if (parseSandboxProcess(orphan.pid, commandLine)?.id !== orphan.id) return true;
    await delay(100);
  }
  return false;
}
