import type { EgressRule } from '../policy/egress.ts';

/** Names on which the door itself answers; `.internal` is reserved for private use and resolves nowhere. */
export const GIT_ROUTE = 'git.coatcheck.internal';
export const MODEL_ROUTE = 'model.coatcheck.internal';

/** One row of the ledger; the shape of the `door.decision` event without its type. */
export interface DoorDecision {
  readonly n: number;
  readonly phase: 'setup' | 'agent' | 'verify' | 'shut';
  readonly route: 'egress' | 'git' | 'model';
  readonly method: string;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly verdict: 'allowed' | 'refused' | 'failed';
  readonly rule: string | null;
  readonly reason: string;
  readonly address: string | null;
  readonly status: number | null;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly ms: number;
}

export interface DoorOptions {
  /** Directory that will hold `door.sock` and nothing else; mounted into the sandbox. */
  readonly directory: string;
  readonly rules: readonly EgressRule[];
  /** Unix socket of this task's upload-pack gateway, or null for no git route. */
  readonly gitSocket: string | null;
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
