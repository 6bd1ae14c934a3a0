import { type FileHandle, open, readFile, readlink, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hasWitness, LOG_DIRECTORY } from './arguments.ts';

/** Bytes at the log's beginning in which the runtime names the sandbox, with all else that it was started with. */
const HEAD_BYTES = 16 * 1024;

/** The descriptor under which a sandbox's process writes its log; null for one that keeps none as it is wanted here. */
export function logDescriptor(commandLine: string): number | null {
  const argv = commandLine.split('\0');
  if (!hasWitness(argv)) return null;
  const named = argv.find((argument) => /^--debug-log-fd=\d+$/.test(argument));
  return named === undefined ? null : Number(named.split('=')[1]);
}

/**
 * Opens the log that a sandbox's process writes, by the process itself: no name has to be guessed. The name is taken away
 * then, so that the file goes with the last of the two who have it open, however they end.
 * @param pid the sandbox's process on the host
 * @param id the container's id, which stands at the log's beginning
 * @returns null when there is no such log, or it cannot be read from here
 */
export async function openLog(pid: number, id: string): Promise<FileHandle | null> {
  const descriptor = logDescriptor(await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''));
  if (descriptor === null) return null;
  const link = `/proc/${pid}/fd/${descriptor}`;
  const log = await open(link, 'r').catch(() => null);
  if (log === null) return null;
  try {
    const { buffer, bytesRead } = await log.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    if (buffer.toString('latin1', 0, bytesRead).includes(id)) {
      await removeName(await readlink(link), (await log.stat()).ino);
      return log;
    }
  } catch {
    // The sandbox ended at this moment; who waits for its answer finds out.
  }
  await log.close();
  return null;
}

async function removeName(path: string, ino: number): Promise<void> {
  if (`${dirname(path)}/` !== LOG_DIRECTORY) return;
  const found = await stat(path).catch(() => null);
  if (found?.ino === ino) await rm(path, { force: true });
}
