import type { ChildProcess } from 'node:child_process';

/**
 * A cage: an unprivileged process with an empty environment, its own mount, process and IPC namespaces,
 * a read-only view of the system's programs, nothing else of the host, and caps on memory, time and file size.
 * Made with bubblewrap, setpriv and prlimit; what is missing on the host stops the run.
 */
export interface CageOptions {
  readonly command: readonly string[];
  /** Extra paths seen inside, at the same path. Programs, libraries and certificates under /usr and /etc/ssl are there already. */
  readonly readOnly: readonly string[];
  readonly writable: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** `none`: a network namespace of its own without any interface but its own loopback. `host`: for the door, which must dial. */
  readonly network: 'none' | 'host';
  /** Cap on the private memory of each process inside (RLIMIT_DATA). For a Node process add `NODE_CODE_RANGE_BYTES`. */
  readonly memoryBytes: number;
  readonly fileBytes: number;
  readonly cpuSeconds: number;
  /** The user and group number inside; by default the same for all cages. */
  readonly uid?: number;
  /** Aborting kills everything inside. */
  readonly signal: AbortSignal;
  /** Node's stdio setting for the child. */
  readonly stdio: readonly ('pipe' | 'ignore' | 'inherit')[];
}

/**
 * V8 maps this much writable memory for compiled code at its start and touches little of it (measured: 509 MiB), so
 * it counts against `memoryBytes` without being memory. Give Node `--max-old-space-size` too: it then fails cleanly.
 */
export const NODE_CODE_RANGE_BYTES = 512 * 1024 * 1024;

/** Starts a process in a cage. It dies with this process. @throws CoatcheckError `cage_unavailable` naming the missing package. */
export type StartCage = (options: CageOptions) => ChildProcess;
