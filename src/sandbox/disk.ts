import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, realpath, rename, rm, rmdir, statfs, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { CoatcheckError, errorText } from '../errors.ts';
import { labelsOf, type Owner } from './owner.ts';

const MiB = 1024 * 1024;
/** What the host keeps free beside all work disks. */
const HOST_KEEPS = 1024 * MiB;
/** Source trees are many small files: one inode for so many bytes. */
const BYTES_PER_INODE = 8192;
const TOOL_MS = 60_000;
const DETACH_MS = 5000;
/** The smallest file system that is worth a try; for the probe. */
const PROBE_BYTES = 4 * MiB;

/** The parts of a work disk's directory. */
export const OWNER_FILE = 'owner.json';
const IMAGE = 'image';
const MOUNT = 'mount';
/** A directory under this name is still being made, or was left half made. */
export const MAKING = 'making-';

/** A file system of a fixed size for one sandbox: a file on the host, mounted. */
export interface WorkDisk {
  /** Where it is mounted on the host. */
  readonly mount: string;
  /** Unmounts it and gives its space back. @throws CoatcheckError `cleanup_failed` when it is still there. */
  remove(): Promise<void>;
}

/** Work disks below one directory. */
export interface Disks {
  readonly directory: string | null;
  /** Why no work disk can be made here; null when one can. Tried for real, once. */
  problem(): Promise<string | null>;
  /** @throws CoatcheckError `sandbox_unavailable` when it cannot be made. Nothing is left then. */
  make(bytes: number, owner: Owner): Promise<WorkDisk>;
}

/** @param directory where the files are; null for a host without work disks. */
export function openDisks(directory: string | null, owner: Owner): Disks {
  let tried: Promise<string | null> | null = null;
  return {
    directory,
    problem() {
      tried ??= probe(directory, owner);
      return tried;
    },
    async make(bytes, of) {
      if (directory === null) throw refused('no directory for work disks is configured');
      return await makeDisk(directory, bytes, of);
    },
  };
}

async function probe(directory: string | null, owner: Owner): Promise<string | null> {
  if (directory === null) return 'no directory for work disks is configured';
  try {
    await (await makeDisk(directory, PROBE_BYTES, owner)).remove();
    return null;
  } catch (thrown) {
    return thrown instanceof CoatcheckError ? thrown.message : errorText(thrown);
  }
}

/**
 * Reserves the space, makes ext4 in it and mounts it. The space is taken from the host now and in one piece, so that
 * neither a full host shows inside nor a full sandbox on the host. The owner is written down before anything is acquired,
 * and the directory gets its name after that, so a sweep can judge whatever a killed process leaves.
 */
async function makeDisk(directory: string, bytes: number, owner: Owner): Promise<WorkDisk> {
  // Nobody but root passes through here to what a sandbox writes.
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const name = randomUUID();
  // The kernel names mounts and loop devices by real paths.
  const home = path.join(await realpath(directory), name);
  const making = path.join(directory, `${MAKING}${name}`);
  try {
    await mkdir(making, { mode: 0o700 });
    await writeFile(path.join(making, OWNER_FILE), JSON.stringify(labelsOf(owner, { task: '', attempt: '', purpose: 'disk' })));
    await mkdir(path.join(making, MOUNT));
    await rename(making, home);
    await reserve(path.join(home, IMAGE), bytes);
    await format(path.join(home, IMAGE), path.join(home, MOUNT));
  } catch (thrown) {
    await removeDisk(home).catch(() => {});
    await rm(making, { recursive: true, force: true });
    throw refused(errorText(thrown), thrown);
  }
  return { mount: path.join(home, MOUNT), remove: () => removeDisk(home) };
}

async function reserve(image: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(path.dirname(image));
  if (bavail * bsize - bytes < HOST_KEEPS) {
    throw new Error(`the host has ${bavail * bsize} bytes free, and ${bytes} with ${HOST_KEEPS} to spare are needed`);
  }
  await tool('fallocate', ['--length', String(bytes), image]);
}

async function format(image: string, mount: string): Promise<void> {
  // No journal: the file system never outlives a crash. `nodiscard` keeps the reserved space reserved.
  const owner = 'root_owner=1000:1000,nodiscard,lazy_itable_init=1';
  const make = ['-q', '-F', '-m', '0', '-b', '4096', '-i', String(BYTES_PER_INODE), '-O', '^has_journal', '-E', owner, image];
  await tool('mkfs.ext4', make);
  await tool('mount', ['-t', 'ext4', '-o', 'loop,nosuid,nodev,noatime,noinit_itable,errors=remount-ro', image, mount]);
  await rmdir(path.join(mount, 'lost+found'));
}

/** Runs one of the system's own programs. @throws an error with what it said */
async function tool(name: string, argv: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)(name, argv, { timeout: TOOL_MS, env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C' } });
  } catch (thrown) {
    const said = thrown instanceof Error && 'stderr' in thrown ? String(thrown.stderr).trim() : '';
    throw new Error(`\`${name}\` failed: ${said === '' ? errorText(thrown) : said}`, { cause: thrown });
  }
}

/**
 * Unmounts a work disk's directory and removes it. The loop device goes with the mount. A directory that is not there, or
 * not mounted, is no error.
 * @throws CoatcheckError `cleanup_failed`
 */
export async function removeDisk(home: string): Promise<void> {
  const mount = path.join(home, MOUNT);
  if (await isMounted(mount)) await tool('umount', [mount]).catch((thrown: unknown) => notRemoved(home, errorText(thrown)));
  // Never below a mount: what is removed here is the file and two directories.
  if (await isMounted(mount)) return notRemoved(home, 'it is still mounted');
  if (!(await isDetached(path.join(home, IMAGE)))) return notRemoved(home, 'something still has it open');
  await rm(path.join(home, IMAGE), { force: true });
  await removeEmpty(mount, home);
  // Last, so that what an end in the middle of this leaves can still be judged.
  await rm(path.join(home, OWNER_FILE), { force: true });
  await removeEmpty(home, home);
}

async function removeEmpty(directory: string, home: string): Promise<void> {
  try {
    await rmdir(directory);
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT')) notRemoved(home, errorText(thrown));
  }
}

/** Whether no loop device has the file any more. The kernel lets go of it a moment after the last mount, wherever that was. */
async function isDetached(image: string): Promise<boolean> {
  const until = performance.now() + DETACH_MS;
  for (;;) {
    const devices = (await readdir('/sys/block')).filter((name) => name.startsWith('loop'));
    const files = await Promise.all(
      devices.map((name) => readFile(`/sys/block/${name}/loop/backing_file`, 'utf8').catch(() => '')),
    );
    if (!files.some((file) => file.trim() === image)) return true;
    if (performance.now() > until) return false;
    await delay(20);
  }
}

function notRemoved(home: string, why: string): never {
  throw new CoatcheckError(
    'cleanup_failed',
    `The work disk ${home} is still there: ${why}.`,
    'The next sweep tries again; `umount` and `rm -r` remove it by hand.',
  );
}

/** Whether something is mounted exactly there. Blanks and the like are written in octal; see proc_pid_mounts(5). */
async function isMounted(mount: string): Promise<boolean> {
  const escaped = mount.replace(/[ \t\n\\]/g, (one) => `\\${one.charCodeAt(0).toString(8).padStart(3, '0')}`);
  return (await readFile('/proc/self/mounts', 'utf8')).split('\n').some((line) => line.split(' ')[1] === escaped);
}

function refused(why: string, cause?: unknown): CoatcheckError {
  return new CoatcheckError(
    'sandbox_unavailable',
    `No work disk can be made on this host: ${why}`,
    'Run the host as root, with loop devices and enough free disk, or set limits.work_in to `memory` in the policy.',
    { cause },
  );
}
