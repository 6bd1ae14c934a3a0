import type { Readable } from 'node:stream';
import type { Capability } from '../policy/capabilities.ts';
import type { SandboxLimits } from '../policy/limits.ts';
import type { CommandEnd } from '../task/verification.ts';

export type { Capability } from '../policy/capabilities.ts';

/** Where the repository's work tree is inside every sandbox. */
export const WORK_TREE = '/work/repo';

/** Why a sandbox is no more. `closed`: we closed it. */
export type CauseOfDeath = 'closed' | 'out_of_memory' | 'killed' | 'exited' | 'unknown';

/** What the sandbox's kernel saw below every tool. `command` is the number of the driver's command it descends from. */
export type KernelSight =
  | {
      readonly seen: 'process';
      readonly pid: number;
      readonly parent: number | null;
      readonly command: number | null;
      readonly executable: string;
      readonly argv: readonly string[];
    }
  | {
      readonly seen: 'connect';
      readonly pid: number;
      readonly command: number | null;
      readonly to: string;
      readonly result: string;
    };

/** The end of a sandbox's kernel log. */
export interface KernelSummary {
  readonly processes: number;
  readonly connects: number;
  readonly strangers: number;
  readonly notKept: number;
  readonly logBytes: number;
  readonly incomplete: string | null;
}

/** A TCP service that a grant opens: found at `127.0.0.1:listen` inside, asked of the door by name. */
export interface SandboxService {
  readonly listen: number;
  readonly host: string;
  readonly port: number;
}

export interface SandboxSpec {
  /** Image reference; the driver resolves it to a digest and refuses one it does not have. */
  readonly image: string;
  /** `kata` is a name that is refused: see capabilities.ts. */
  readonly runtime: 'runsc' | 'runc' | 'kata';
  readonly limits: SandboxLimits;
  /** Host directory that holds only the door's Unix socket; null for a sandbox without a door. */
  readonly doorDirectory: string | null;
  /** What the policy asks of the runtime; a host that cannot give it all refuses. */
  readonly capabilities: readonly Capability[];
  readonly services: readonly SandboxService[];
  /** Told live, in order, while the sandbox lives; only where the runtime has `kernel_witness`. */
  readonly onKernel: (sight: KernelSight) => void;
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
  /** What this runtime gives on this host. */
  readonly capabilities: readonly Capability[];
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
  /** The command's number in its sandbox, from 1; the kernel's account refers to it. */
  readonly command: number;
  readonly ms: number;
}

/** One running sandbox: no interface but loopback, everything in and out is an exec stream. */
export interface Sandbox {
  readonly id: string;
  readonly facts: SandboxFacts;
  /** The host's directory in which a work tree on disk is mounted; gone after `close`. Absent where it is in memory. */
  readonly workDisk?: string;
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
  /** Settles after the sandbox's end with the totals of its kernel log; null where the runtime keeps none. Never rejects. */
  readonly kernel: Promise<KernelSummary | null>;
  /** Kills and removes the sandbox and proves it gone. Idempotent. @throws CoatcheckError `cleanup_failed` when it is still there. */
  close(): Promise<void>;
}
