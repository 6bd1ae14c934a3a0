/**
 * What a run may not leave behind. A run has a temporary folder of its own, named in the environment of every
 * process that it starts: so its processes, sockets and folders can be told from those of others on the machine.
 */
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { engine } from '../../src/setup/engine.mjs';
import type { Outcome } from './outcome.ts';

/** Things that are on their way out get this long. */
const GRACE_MS = 5000;
const DOCKER = '/var/run/docker.sock';

const Containers = z.array(
  z.object({ Id: z.string(), Created: z.number(), Labels: z.record(z.string(), z.string()).nullable() }),
);

const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};

/** Makes the run's folder the temporary folder of this process's children; open to all users, as /tmp is. */
export function ownTemporaryFolder(): string {
  // Short: the path of a Unix socket in it is at most 107 bytes.
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'cct-')));
  chmodSync(folder, 0o1777);
  process.env['TMPDIR'] = folder;
  return folder;
}

const isOfRun = (pid: string, folder: string): boolean =>
  read(`/proc/${pid}/environ`).split('\0').includes(`TMPDIR=${folder}`) || read(`/proc/${pid}/cmdline`).includes(`${folder}/`);

function processes(folder: string): string[] {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid && isOfRun(pid, folder));
}

/** Containers made since `since` (seconds) by a process of this run or by one that is gone. */
async function containers(folder: string, since: number): Promise<string[]> {
  if (!existsSync(DOCKER)) return [];
  const { status, text } = await engine(DOCKER, 'GET', '/containers/json?all=1');
  if (status !== 200) return [];
  return Containers.parse(JSON.parse(text)).flatMap(({ Id, Created, Labels }) => {
    const labels = Labels ?? {};
    if (Created < since || !Object.keys(labels).some((label) => label.startsWith('coatcheck.'))) return [];
    const owner = labels['coatcheck.pid'];
    return owner === undefined || !existsSync(`/proc/${owner}`) || isOfRun(owner, folder) ? [Id] : [];
  });
}

const listeners = (folder: string): string[] =>
  read('/proc/net/unix')
    .split('\n')
    .flatMap((line) => {
      const path = line.split(' ').at(-1) ?? '';
      return path.startsWith(`${folder}/`) ? [path] : [];
    });

const folders = (folder: string): string[] => readdirSync(folder).filter((name) => name.startsWith('coatcheck-'));

interface Found {
  readonly processes: string[];
  readonly containers: string[];
  readonly sockets: string[];
  readonly folders: string[];
}

async function look(folder: string, since: number): Promise<Found> {
  return {
    processes: processes(folder),
    containers: await containers(folder, since),
    sockets: listeners(folder),
    folders: folders(folder),
  };
}

const isClean = (found: Found): boolean => Object.values(found).every((list) => list.length === 0);

async function removeLeft(found: Found, folder: string): Promise<void> {
  for (const pid of found.processes) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // ended meanwhile
    }
  }
  for (const id of found.containers) await engine(DOCKER, 'DELETE', `/containers/${id}?force=1`, { timeoutMs: 30_000 });
  rmSync(folder, { recursive: true, force: true });
}

/** Looks for what is left, says it as failures by name, and removes it. */
export async function checkLeaks(folder: string, since: number, outcome: Outcome): Promise<void> {
  const deadline = performance.now() + GRACE_MS;
  let found = await look(folder, since);
  while (!isClean(found) && performance.now() < deadline) {
    await delay(100);
    found = await look(folder, since);
  }
  const left = [
    ...found.processes.map((pid) => `process ${pid}: ${read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')}`),
    ...found.containers.map((id) => `container ${id}`),
    ...found.sockets.map((path) => `listening socket ${path}`),
    ...found.folders.map((name) => `temporary folder ${name}`),
  ];
  if (left.length === 0) outcome.passed += 1;
  else outcome.failed.push({ name: 'nothing is left behind', text: left.join('\n') });
  console.log(`${left.length === 0 ? 'ok     ' : 'FAILED '} nothing is left behind`);
  await removeLeft(found, folder);
}
