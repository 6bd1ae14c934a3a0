import type { Dispatcher } from 'undici';
import type { VendorFeature } from '../policy/vendor-features.ts';
import type { ModelDialect } from '../task/work-order.ts';
import type { Price, Usage } from './usage.ts';

export interface AttemptRef {
  readonly task: string;
  readonly attempt: number;
}

/** What a per-attempt key opens. */
export interface ModelAccess {
  readonly attempt: AttemptRef;
  /** Whether the attempt is in a part in which it may speak to a model. */
  readonly open: boolean;
  readonly provider: {
    readonly dialect: ModelDialect;
    /** Where the dialect's paths begin; Anthropic's with or without `/v1`, OpenAI's with its version. */
    readonly baseUrl: string;
    /** The real key; it leaves this process towards the provider only. */
    readonly apiKey: string;
    readonly model: string;
    /** What the operator lets the vendor do beyond answering from the request. */
    readonly features: readonly VendorFeature[];
    readonly price?: Price | undefined;
  };
}

/** One call, in the shape of the record's `model.call` event. */
export interface ModelCall {
  readonly type: 'model.call';
  readonly dialect: ModelDialect;
  /** The model that the client named. */
  readonly asked: string;
  readonly answered: string | null;
  /** What the client got; null when it left before there was any. */
  readonly status: number | null;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedTokens: number;
  readonly costUsd: number | null;
  readonly ms: number;
  /** What a reader should know besides: a refusal and why, an estimate, a cut. Empty for a plain call. */
  readonly note: string;
}

export type Reservation = { readonly granted: true; readonly id: string } | { readonly granted: false; readonly why: string };

export interface ModelGatewayOptions {
  /** Path below which the gateway is mounted, for example `/model`; empty for the root. */
  readonly prefix: string;
  /** Finds the attempt of a per-attempt key; null for a key that is unknown or was revoked. */
  resolve(key: string): Promise<ModelAccess | null>;
  /** Sets so many tokens aside before the call is made, or says why not. */
  reserve(attempt: AttemptRef, tokens: number): Promise<Reservation>;
  /** Replaces a reservation by what was really used; called exactly once for each that was granted. */
  settle(id: string, usage: Usage): Promise<void>;
  /** Called once for each call of a known attempt, refused ones too, before its answer ends. */
  record(attempt: AttemptRef, call: ModelCall): Promise<void>;
  readonly dispatcher: Dispatcher;
  /** Cuts all calls. */
  readonly signal: AbortSignal;
  /** Largest request body in bytes; by default 32 MiB, which is the vendors' own. */
  readonly bodyLimit?: number;
}
