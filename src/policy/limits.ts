import { z } from 'zod';

const MiB = 1024 * 1024;

/** Limits of one sandbox. Bytes and milliseconds throughout. The tmpfs sizes sum, with headroom, to less than the memory limit: a full disk is ENOSPC inside, not a killed sandbox. */
export const SandboxLimits = z.strictObject({
  memoryBytes: z
    .int()
    .positive()
    .default(4096 * MiB),
  cpus: z.number().positive().default(2),
  workBytes: z
    .int()
    .positive()
    .default(1536 * MiB),
  /** Where the work tree is: in memory, or in a file system of `workBytes` on the host's disk, which does not count as memory. */
  workIn: z.enum(['memory', 'disk']).default('memory'),
  tmpBytes: z
    .int()
    .positive()
    .default(512 * MiB),
  /** RLIMIT_NPROC of the unprivileged user; the pids cgroup stays high because reaching it crashes gVisor. */
  processes: z.int().positive().default(512),
  openFiles: z.int().positive().default(4096),
});
export type SandboxLimits = z.infer<typeof SandboxLimits>;

/** Hard caps of one task. */
export const TaskLimits = z.strictObject({
  sandbox: SandboxLimits.prefault({}),
  wallMs: z
    .int()
    .positive()
    .default(60 * 60_000),
  commandMs: z
    .int()
    .positive()
    .default(10 * 60_000),
  commandOutputBytes: z
    .int()
    .positive()
    .default(256 * 1024),
  turns: z.int().positive().default(60),
  tokens: z.int().positive().default(2_000_000),
  /** How often failures go back to the agent. */
  verifyRounds: z.int().nonnegative().default(3),
  changeBytes: z
    .int()
    .positive()
    .default(64 * MiB),
  changedFiles: z.int().positive().default(3000),
  /** A repository whose history to be laid in is larger than this is refused. */
  repositoryBytes: z
    .int()
    .positive()
    .default(1024 * MiB),
});
export type TaskLimits = z.infer<typeof TaskLimits>;
