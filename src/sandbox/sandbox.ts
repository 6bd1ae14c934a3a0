import type { Readable } from 'node:stream';
import type { SandboxLimits } from '../policy/limits.ts';
import type { CommandEnd } from '../task/verification.ts';

/** Where the repository's work tree is inside every sandbox. */
export const WORK_TREE = '/work/repo';

/** Why a sandbox is no more. `closed`: we closed it. */
export type CauseOfDeath = 'closed' | 'out_of_memory' | 'killed' | 'exited' | 'unknown';

export interface SandboxSpec {
  /** Image reference; the driver resolves it to a digest and refuses one it does not have. */
  readonly image: string;
  readonly runtime: 'runsc' | 'runc';
  readonly limits: SandboxLimits;
  /** Host directory that holds only the door's Unix socket; null for a sandbox without a door. */
  readonly doorDirectory: string | null;
  readonly labels: { readonly task: string; readonly attempt: string; readonly purpose: string };
}

/** What was really started, for the record. */
export interface SandboxFacts {
  readonly image: string;
  readonly imageDigest: string;
  readonly runtime: string;
  readonly runtimeVersion: string;
  /** First kernel log line seen inside. */
  readonly kernel: string;
  readonly inspectDigest: string;
}

export interface ExecOptions {
  readonly command: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: Readable | Buffer;
  /** The command and everything it started are killed after this long. */
  readonly timeoutMs: number;
  /** Bytes kept of stdout and of stderr each; the rest is counted, digested and thrown away. */
  readonly outputLimit: number;
  readonly signal: AbortSignal;
  /** Called with each chunk as it arrives, up to `outputLimit` in all. */
  readonly onOutput?: (chunk: Buffer) => void;
  /**
   * What the command leaves running stays, until the next command without `keep` ends or the sandbox is closed; and it does
   * not wait for its turn. Without `keep`, commands run one after another and nothing outlives them.
   */
  readonly keep?: boolean;
}

export interface ExecResult {
  readonly end: CommandEnd;
  readonly exitCode: number | null;
  /** The first `outputLimit` bytes of each; `stdout` is empty for a `stream`. */
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** stdout and stderr in order of arrival, head and tail kept, a mark where something was cut. */
  readonly output: string;
  readonly truncated: boolean;
  /** SHA-256 in hex over all bytes of output in order of arrival, kept or not. */
  readonly outputDigest: string;
  readonly ms: number;
}

/** One running sandbox: no interface but loopback, everything in and out is an exec stream. */
export interface Sandbox {
  readonly id: string;
  readonly facts: SandboxFacts;
  /** Settles once, when the sandbox is no more, whatever the reason. Never rejects. */
  readonly died: Promise<CauseOfDeath>;
  /** Runs a command as the unprivileged user. Does not throw for a failing command; see `end`. */
  exec(options: ExecOptions): Promise<ExecResult>;
  /** Runs a command whose stdout is a stream with backpressure, not kept: for taking large things out. */
  stream(options: Omit<ExecOptions, 'outputLimit' | 'onOutput'>): {
    readonly stdout: Readable;
    readonly done: Promise<ExecResult>;
  };
  /** Makes programs inside trust this certificate authority (PEM) beside the system's. */
  trust(authority: string): Promise<void>;
  /** Kills and removes the sandbox and proves it gone. Idempotent. @throws CoatcheckError `cleanup_failed` when it is still there. */
  close(): Promise<void>;
}
