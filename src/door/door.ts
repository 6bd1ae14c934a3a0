import type { EgressRule } from '../policy/egress.ts';
import type { IssueSnapshot, RepositoryRef } from '../task/task.ts';

/** Names on which the door itself answers; `.internal` is reserved for private use and resolves nowhere. */
export const GIT_ROUTE = 'git.coatcheck.internal';
export const MODEL_ROUTE = 'model.coatcheck.internal';

/** One row of the ledger; the shape of the `door.decision` event without its type. */
export interface DoorDecision {
  readonly n: number;
  readonly phase: 'setup' | 'agent' | 'verify' | 'shut';
  readonly route: 'egress' | 'tunnel' | 'service' | 'git' | 'snapshot' | 'model';
  readonly method: string;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly verdict: 'allowed' | 'refused' | 'failed';
  readonly rule: string | null;
  readonly reason: string;
  /** The address that was dialled. */
  readonly address: string | null;
  /** Who resolved the name; null when nothing was dialled by name. */
  readonly resolver: 'door' | 'proxy' | 'table' | null;
  readonly status: number | null;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly ms: number;
}

/** GitHub as programs inside know it: reads of the task's own repository and issue are answered here, nothing else. */
export interface DoorGitHub {
  readonly apiUrl: string;
  readonly webUrl: string;
  readonly repository: RepositoryRef;
  /** The text at the trigger; what was edited since is not seen. */
  readonly issue: IssueSnapshot;
}

/** Caps of one task at its door. */
export interface DoorLimits {
  /** Connections at once. */
  readonly slots: number;
  /** Requests and tunnels begun in one second, on average; a burst of ten seconds' worth passes. */
  readonly requestsPerSecond: number;
  /** Bytes in all, each way, of everything but the model and git routes. */
  readonly bytesUp: number;
  readonly bytesDown: number;
}

export const DOOR_LIMITS: DoorLimits = {
  slots: 256,
  requestsPerSecond: 200,
  bytesUp: 1024 ** 3,
  bytesDown: 64 * 1024 ** 3,
};

/** Times at the door, in milliseconds. */
export interface DoorTimings {
  /** For a request's head, from the connection's or the last answer's end. */
  readonly headMs: number;
  /** For a whole request with its body. */
  readonly requestMs: number;
  /** From a tunnel's opening to its TLS hello, and between requests inside. */
  readonly helloMs: number;
  /** For a connection to an upstream. */
  readonly dialMs: number;
  /** An upstream that says nothing for this long is given up; a model is given longer. */
  readonly idleMs: number;
  readonly modelIdleMs: number;
  /** A tunnel or a service's connection through which nothing passes for this long is closed. */
  readonly tunnelIdleMs: number;
  /** One exchange, and one tunnel, however busy. */
  readonly exchangeMs: number;
  readonly tunnelMs: number;
}

export const DOOR_TIMINGS: DoorTimings = {
  headMs: 15_000,
  requestMs: 10 * 60_000,
  helloMs: 30_000,
  dialMs: 30_000,
  idleMs: 120_000,
  modelIdleMs: 600_000,
  tunnelIdleMs: 30 * 60_000,
  exchangeMs: 60 * 60_000,
  tunnelMs: 4 * 60 * 60_000,
};

export interface DoorOptions {
  /** Directory that will hold `door.sock` and nothing else; mounted into the sandbox. */
  readonly directory: string;
  readonly rules: readonly EgressRule[];
  /** Unix socket of this task's upload-pack gateway, or null for no git route. */
  readonly gitSocket: string | null;
  /** Repositories besides the task's own that rules open: `owner/name`, the rule's id, the Unix socket of each gateway. */
  readonly repositories: readonly { readonly name: string; readonly rule: string; readonly socket: string }[];
  /** What is answered in GitHub's place, under its own names; null for a door without a task. */
  readonly github: DoorGitHub | null;
  /** What is added under a rule, by the rule's id. It never enters the sandbox. */
  readonly credentials: Readonly<Record<string, { readonly header: string; readonly value: string }>>;
  readonly limits: DoorLimits;
  /** Times other than those of DOOR_TIMINGS. */
  readonly timings?: Partial<DoorTimings>;
  /** PEM bundle that the door trusts for its upstreams beside Node's own. */
  readonly authorities: string;
  /** The company's forward proxy, if any. */
  readonly upstreamProxy: string | null;
  /** Names answered with these addresses instead of asking DNS: for tests and operators' split horizons. */
  readonly hosts: Readonly<Record<string, string>>;
  readonly onDecision: (decision: DoorDecision) => void;
  readonly signal: AbortSignal;
}

export type DoorState =
  | { readonly phase: 'setup' | 'verify' | 'shut' }
  /** The model route is open in agent turns only. */
  | { readonly phase: 'agent'; readonly model: { readonly url: string; readonly key: string } | null };

/** The one way out of a sandbox: a process of its own, unprivileged, behind one Unix socket. */
export interface Door {
  readonly socket: string;
  /** The task's certificate authority (PEM); its key never leaves the door's process. */
  readonly authority: string;
  /** Settles when the door's process has ended, wanted or not. Never rejects. */
  readonly died: Promise<void>;
  /** Resolves once the new state is in force; connections of the old state that it does not allow are cut. */
  set(state: DoorState): Promise<void>;
  /** Ends the process, removes the socket, resolves after the last decision was delivered. Idempotent. */
  close(): Promise<void>;
}
