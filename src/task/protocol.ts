/**
 * The host protocol: the one small HTTP API between a host and the control plane.
 *
 * `claim` is authorised by the deployment's host key; every other call by the attempt's fencing token
 * (`Authorization: Bearer …`). A token that a later attempt has replaced, or that the end of the attempt has
 * voided, gets 409 `fenced`, and the host drops everything it holds of that attempt.
 */
import { z } from 'zod';
import { EndReason, ObjectId, TaskId } from './task.ts';
import { Verification } from './verification.ts';
import { ModelDialect, WorkOrder } from './work-order.ts';

export const HOST_API = '/host/v1';

export const HostFacts = z.strictObject({
  id: z.string().min(1),
  /** Sandbox runtimes this host can give, with their versions; empty when Docker or runsc is missing. */
  runtimes: z.array(z.strictObject({ name: z.enum(['runsc', 'runc']), version: z.string() })),
  coatcheck: z.string(),
});
export type HostFacts = z.infer<typeof HostFacts>;

/** POST /claim */
export const ClaimRequest = z.strictObject({ task: TaskId, attempt: z.int().positive(), host: HostFacts });
export type ClaimRequest = z.infer<typeof ClaimRequest>;

export const ClaimAnswer = z.discriminatedUnion('claim', [
  z.strictObject({
    claim: z.literal('granted'),
    /** The fencing token. */
    token: z.string().min(32),
    /** The attempt is taken for lost when nothing is heard from the host for this long. */
    leaseMs: z.int().positive(),
    work: WorkOrder,
  }),
  /** Nothing to do here: the attempt is over, held by another host, or unknown. The wake-up is dropped. */
  z.strictObject({ claim: z.literal('nothing'), why: z.string() }),
]);
export type ClaimAnswer = z.infer<typeof ClaimAnswer>;

/** POST /events: appends, idempotent by `seq`; an empty list is a heartbeat. */
export const EventsRequest = z.strictObject({
  events: z.array(z.looseObject({ seq: z.int().nonnegative(), at: z.iso.datetime(), type: z.string() })).max(500),
});
export type EventsRequest = z.infer<typeof EventsRequest>;

export const EventsAnswer = z.strictObject({
  /** The highest `seq` up to which everything is stored; −1 when nothing is. */
  stored: z.int().min(-1),
  /** Set once the control plane wants this attempt to end; the host stops, cleans up and calls finish. */
  stop: z.strictObject({ reason: z.enum(['stopped', 'wall_limit', 'token_limit', 'daily_limit']) }).nullable(),
});
export type EventsAnswer = z.infer<typeof EventsAnswer>;

/** POST /grant */
export const GrantRequest = z.discriminatedUnion('grant', [
  /** The task's own repository, or the one that a rule of the work order with this id opens. */
  z.strictObject({ grant: z.literal('repository_read'), rule: z.string().optional() }),
  z.strictObject({ grant: z.literal('model') }),
  /** The credential that the door adds under a rule of the work order. */
  z.strictObject({ grant: z.literal('registry'), rule: z.string() }),
]);
export type GrantRequest = z.infer<typeof GrantRequest>;

export const GrantAnswer = z.discriminatedUnion('grant', [
  z.strictObject({
    grant: z.literal('repository_read'),
    /** Where to fetch from, without credentials in it. */
    url: z.url(),
    /** An installation token for this repository alone, `contents: read`. */
    token: z.string(),
    expiresAt: z.iso.datetime(),
    /** What a rule opens, and where its default branch is; absent for the task's own repository. */
    repository: z
      .strictObject({ id: z.int().positive(), owner: z.string(), name: z.string(), ref: z.string(), sha: ObjectId })
      .optional(),
  }),
  z.strictObject({
    grant: z.literal('model'),
    /** The control plane's gateway; the path a dialect's client would use follows it. */
    url: z.url(),
    /** A key that the gateway knows for this attempt alone. */
    key: z.string(),
    dialect: ModelDialect,
    model: z.string(),
  }),
  z.strictObject({ grant: z.literal('registry'), header: z.string(), value: z.string() }),
]);
export type GrantAnswer = z.infer<typeof GrantAnswer>;

/** POST /change: the body is the git bundle as opaque bytes. */
export const ChangeAnswer = z.strictObject({ sha256: z.string(), bytes: z.int().nonnegative() });
export type ChangeAnswer = z.infer<typeof ChangeAnswer>;

/** What was looked for after the end of an attempt and whether it was gone. */
export const CleanupProof = z.strictObject({
  looked: z.array(
    z.strictObject({
      kind: z.string(),
      id: z.string(),
      gone: z.boolean(),
      /** Until when at the latest, for what is kept on purpose. */
      keptUntil: z.iso.datetime().optional(),
    }),
  ),
});
export type CleanupProof = z.infer<typeof CleanupProof>;

/** The agent's own words about its change; data, never trusted, neutralised wherever they are shown. */
export const AgentSummary = z.strictObject({ title: z.string().max(300), body: z.string().max(20_000) });
export type AgentSummary = z.infer<typeof AgentSummary>;

/** Why a host ends an attempt early. To hold a change is the control plane's alone. */
export const HostEndReason = EndReason.exclude(['approval_needed']);
export type HostEndReason = z.infer<typeof HostEndReason>;

/** POST /finish */
export const FinishRequest = z.strictObject({
  cleanup: CleanupProof,
  plan: z.string().nullable(),
  outcome: z.discriminatedUnion('outcome', [
    z.strictObject({
      outcome: z.literal('change'),
      /** Digest of the uploaded bundle. */
      sha256: z.string(),
      head: ObjectId,
      summary: AgentSummary,
      verification: Verification,
    }),
    z.strictObject({ outcome: z.literal('no_change'), summary: AgentSummary }),
    z.strictObject({ outcome: z.literal('ended'), reason: HostEndReason, message: z.string() }),
  ]),
});
export type FinishRequest = z.infer<typeof FinishRequest>;

/** Every refusal of the host protocol. */
export const ProtocolError = z.strictObject({ error: z.string(), message: z.string() });
