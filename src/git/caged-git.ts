import { type CageResult, runInCage } from '../cage/run-in-cage.ts';
import { CoatcheckError } from '../errors.ts';
import { gitEnvironment } from './environment.ts';

const MiB = 1024 * 1024;

/** What one look at a change may cost. */
const MEMORY_BYTES = 768 * MiB;
const CPU_SECONDS = 120;
const WALL_MS = 180_000;

/** Where the objects of one change are looked at. */
export interface Scratch {
  /** The only directory that the cage may write to; holds the bare repository `change.git`. */
  readonly directory: string;
  /** The base's objects, seen read-only. */
  readonly baseObjects: string;
  /** Cap on each file that the cage writes, the unpacked pack among them. */
  readonly fileBytes: number;
  readonly signal: AbortSignal;
}

/**
 * Runs a command on a change in the cage: no network, nothing of the host but the base's objects, read-only, and the
 * scratch directory. Does not throw for a failing command.
 * @throws the signal's reason when it is aborted; CoatcheckError `cage_unavailable`, `cage_failed`.
 */
export async function caged(
  scratch: Scratch,
  command: readonly string[],
  options: { readonly stdin?: Buffer; readonly outputLimit: number; readonly readOnly?: readonly string[] },
): Promise<CageResult> {
  const result = await runInCage({
    command,
    readOnly: [scratch.baseObjects, ...(options.readOnly ?? [])],
    writable: [scratch.directory],
    cwd: '/',
    env: gitEnvironment({ config: FRUGAL, variables: { GIT_DIR: `${scratch.directory}/change.git` } }),
    network: 'none',
    memoryBytes: MEMORY_BYTES,
    fileBytes: scratch.fileBytes,
    cpuSeconds: CPU_SECONDS,
    timeoutMs: WALL_MS,
    outputLimit: options.outputLimit,
    signal: scratch.signal,
    ...(options.stdin === undefined ? {} : { stdin: options.stdin }),
  });
  scratch.signal.throwIfAborted();
  return result;
}

/** Large blobs are streamed and taken for binary, one thread: memory stays well below the cap for an honest change. */
const FRUGAL = [
  ['core.bigFileThreshold', '16m'],
  ['pack.threads', '1'],
  ['core.deltaBaseCacheLimit', '32m'],
  ['core.quotePath', 'true'],
] as const;

/** A look that a change made more expensive than a look may be. */
export class OverLimits extends Error {}

/** Whether a cap ended a command, or git at a cap ended itself. */
export const isOverLimits = ({ ended, stderr }: CageResult): boolean =>
  ended === 'exited' ? AT_A_CAP.test(stderr) : ended !== 'aborted';

const AT_A_CAP = /out of memory|malloc failed|File too large|died of signal|No space left/i;

/** The error for a look that failed through the host, not through the change. */
export function quarantineFailed(run: CageResult): CoatcheckError {
  const how = `${run.ended} ${String(run.exitCode)}: ${run.stderr.replace(/\s+/g, ' ').slice(0, 300)}`;
  return new CoatcheckError(
    'quarantine_failed',
    `The change could not be looked at (${how}).`,
    'See the memory and disk of the control plane.',
  );
}
