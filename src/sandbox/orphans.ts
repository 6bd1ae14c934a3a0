import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
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

/** Whether a command line is that of the engine's own process beside a container, its shim. */
export function isShimOf(commandLine: string, id: string): boolean {
  const [program = '', ...argv] = commandLine.split('\0');
  return /^containerd-shim(?:-|$)/.test(basename(program)) && argv[argv.indexOf('-id') + 1] === id;
}

/** What `read` makes of the command lines of this host's processes, as far as it makes something of them. */
async function among<T>(read: (pid: number, commandLine: string) => T | null): Promise<T[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => read(Number(pid), await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''))),
  );
  return found.filter((one) => one !== null);
}

/**
 * Kills what stands for a container below the engine: its sandbox, and then the shim, which can miss the sandbox's end and
 * then holds up the engine for minutes. The engine takes a shim's end for the container's and clears up after both.
 * False when nothing of the kind could be killed from here.
 */
export async function killBelow(id: string): Promise<boolean> {
  const sandboxes = await among((pid, line) => (parseSandboxProcess(pid, line)?.id === id ? pid : null));
  const shims = await among((pid, line) => (isShimOf(line, id) ? pid : null));
  return [...sandboxes, ...shims].map(kill).includes(true);
}

function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
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
  for (const orphan of await among(parseSandboxProcess)) {
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
