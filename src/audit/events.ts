import { z } from 'zod';
import { DoorPhase } from '../policy/egress.ts';
import { SandboxLimits } from '../policy/limits.ts';
import { CleanupProof } from '../task/protocol.ts';
import { Actor, EndReason, ObjectId, TaskState } from '../task/task.ts';
import { CommandResult, DeclaredCommand, Verification } from '../task/verification.ts';

/** Who saw it happen. A record can prove no more than its witnesses: see the field in each variant. */
export const Witness = z.enum(['control', 'host', 'kernel', 'agent', 'github']);
export type Witness = z.infer<typeof Witness>;

const Step = z.enum([
  'claim',
  'sandbox',
  'door',
  'mirror',
  'lay_in',
  'setup',
  'baseline',
  'plan',
  'work',
  'verify',
  'take_out',
  'clean_room',
  'hand_over',
  'clean_up',
  'quarantine',
  'commit',
  'publish',
  'revoke',
]);
export type Step = z.infer<typeof Step>;

/** By which way something went through the door. */
export const DoorRoute = z.enum(['egress', 'tunnel', 'service', 'git', 'snapshot', 'model']);
/** Who resolved the name: the door, the company's forward proxy, or the operator's fixed table. */
export const DoorResolver = z.enum(['door', 'proxy', 'table']);

/** A command's number in its sandbox, from 1: by it the kernel's account (`kernel.saw`) is joined to this one. */
const CommandNumber = z.int().positive();

/** What a host reports. The control plane accepts no other type from a host. */
export const HostEvent = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('step.started'), step: Step, round: z.int().optional() }),
  z.strictObject({ type: z.literal('step.ended'), step: Step, round: z.int().optional(), ok: z.boolean(), ms: z.number() }),
  z.strictObject({
    type: z.literal('sandbox.created'),
    sandbox: z.string(),
    purpose: z.enum(['work', 'clean_room', 'yardstick']),
    image: z.string(),
    imageDigest: z.string(),
    runtime: z.string(),
    runtimeVersion: z.string(),
    /** First kernel log line seen inside: gVisor says so itself. */
    kernel: z.string(),
    limits: SandboxLimits,
    inspectDigest: z.string(),
    /** What the runtime gives, of the table of capabilities. */
    capabilities: z.array(z.string()),
  }),
  z.strictObject({
    type: z.literal('sandbox.ended'),
    sandbox: z.string(),
    cause: z.enum(['closed', 'out_of_memory', 'killed', 'exited', 'unknown']),
  }),
  z.strictObject({
    type: z.literal('repository.laid_in'),
    sandbox: z.string(),
    sha: ObjectId,
    bytes: z.number(),
    ms: z.number(),
  }),
  z.strictObject({
    type: z.literal('setup.ran'),
    sandbox: z.string(),
    command: z.string(),
    exitCode: z.int().nullable(),
    ms: z.number(),
    outputTail: z.string(),
    number: CommandNumber.optional(),
  }),
  z.strictObject({
    type: z.literal('command.ran'),
    sandbox: z.string(),
    result: CommandResult,
    number: CommandNumber.optional(),
  }),
  /** Live output of a running command, for people who watch; the digest in `command.ran` covers the whole. */
  z.strictObject({ type: z.literal('output'), text: z.string().max(16_384) }),
  z.strictObject({
    type: z.literal('door.decision'),
    /** Whose door: that of the sandbox of this purpose. */
    purpose: z.enum(['work', 'clean_room', 'yardstick']),
    /** The door's own sequence, so that a gap shows. */
    n: z.int(),
    phase: DoorPhase,
    route: DoorRoute,
    method: z.string(),
    host: z.string(),
    port: z.int(),
    path: z.string(),
    verdict: z.enum(['allowed', 'refused', 'failed']),
    rule: z.string().nullable(),
    reason: z.string(),
    /** The address that was dialled. */
    address: z.string().nullable(),
    resolver: DoorResolver.nullable(),
    status: z.int().nullable(),
    bytesUp: z.number(),
    bytesDown: z.number(),
    ms: z.number(),
  }),
  /**
   * What the sandbox's own kernel saw run and connect, below every tool; joined to the driver's commands by their number.
   * `command` is null for a process that descends from no command of the driver's.
   */
  z.strictObject({
    type: z.literal('kernel.saw'),
    sandbox: z.string(),
    processes: z.array(
      z.strictObject({
        pid: z.int(),
        parent: z.int().nullable(),
        command: z.int().nullable(),
        executable: z.string(),
        argv: z.array(z.string()),
      }),
    ),
    connects: z.array(z.strictObject({ pid: z.int(), command: z.int().nullable(), to: z.string(), result: z.string() })),
  }),
  /** The end of what the kernel was asked to tell of one sandbox: totals, and what was not kept, so that a gap shows. */
  z.strictObject({
    type: z.literal('kernel.summary'),
    sandbox: z.string(),
    processes: z.int(),
    connects: z.int(),
    /** Processes that descend from no command of the driver's. */
    strangers: z.int(),
    notKept: z.int(),
    logBytes: z.number(),
    /** Null when the log was followed to the sandbox's end; else why not. */
    incomplete: z.string().nullable(),
  }),
  z.strictObject({ type: z.literal('plan'), text: z.string() }),
  z.strictObject({ type: z.literal('agent.said'), turn: z.int(), text: z.string() }),
  z.strictObject({
    type: z.literal('agent.tool'),
    turn: z.int(),
    tool: z.string(),
    input: z.string(),
    output: z.string(),
    ok: z.boolean(),
    ms: z.number(),
    numbers: z.array(CommandNumber).optional(),
  }),
  z.strictObject({ type: z.literal('verification'), verification: Verification }),
  z.strictObject({
    type: z.literal('change.taken'),
    head: ObjectId,
    tree: ObjectId,
    bytes: z.number(),
    sha256: z.string(),
    /** Names, the first of many, of what is in the work tree and no part of the change; see git/take-out.ts. */
    leftOut: z.array(z.string()).optional(),
  }),
]);
export type HostEvent = z.infer<typeof HostEvent>;

/** What the control plane itself does or is told by GitHub. */
export const ControlEvent = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('task.accepted'),
    trigger: z.string(),
    delivery: z.string(),
    payloadDigest: z.string(),
    actor: Actor,
    permission: z.string(),
    permissionCheckedAt: z.iso.datetime(),
    repository: z.string(),
    issue: z.int(),
    issueDigest: z.string(),
    hiddenSpansRemoved: z.int(),
    base: z.strictObject({ ref: z.string(), sha: ObjectId }),
  }),
  z.strictObject({
    type: z.literal('policy.resolved'),
    ruleFile: z.strictObject({ path: z.string(), blob: ObjectId }).nullable(),
    configuration: z.strictObject({ path: z.string(), blob: ObjectId }).nullable(),
    /** The organisation's file, and the commit of its repository that it was read from; null when there is none. */
    organisation: z
      .strictObject({ repository: z.string(), path: z.string(), blob: ObjectId, commit: ObjectId })
      .nullable()
      .optional(),
    /** The base's lock file by which a preset opened paths. */
    lockFile: z.strictObject({ path: z.string(), blob: ObjectId }).optional(),
    commands: z.array(DeclaredCommand),
    /** Lines of the commands section that were not recognised, and so are not run. */
    notRecognised: z.array(z.string()),
    digest: z.string(),
  }),
  z.strictObject({ type: z.literal('attempt.claimed'), host: z.string(), attempt: z.int() }),
  z.strictObject({ type: z.literal('attempt.lost'), host: z.string(), attempt: z.int(), why: z.string() }),
  z.strictObject({
    type: z.literal('credential.minted'),
    id: z.string(),
    kind: z.enum(['repository_read', 'repository_write', 'model', 'registry']),
    scope: z.string(),
    expiresAt: z.string().nullable(),
  }),
  z.strictObject({ type: z.literal('credential.revoked'), id: z.string(), gone: z.boolean() }),
  z.strictObject({
    type: z.literal('model.call'),
    dialect: z.string(),
    asked: z.string(),
    answered: z.string().nullable(),
    status: z.int().nullable(),
    inputTokens: z.int(),
    outputTokens: z.int(),
    cachedTokens: z.int(),
    costUsd: z.number().nullable(),
    ms: z.number(),
    note: z.string(),
  }),
  z.strictObject({ type: z.literal('change.received'), sha256: z.string(), bytes: z.number() }),
  z.strictObject({
    type: z.literal('quarantine.checked'),
    verdict: z.enum(['clean', 'held', 'refused']),
    /** The secret scanner and its rules' version; null when the objects were unsound and nothing was scanned. */
    scanner: z.string().nullable(),
    tree: ObjectId.nullable(),
    files: z.array(
      z.strictObject({ path: z.string(), change: z.enum(['added', 'modified', 'deleted', 'mode']), mode: z.string() }),
    ),
    findings: z.array(
      z.strictObject({ rule: z.string(), path: z.string(), detail: z.string(), outcome: z.enum(['note', 'hold', 'refuse']) }),
    ),
    diffDigest: z.string().nullable(),
  }),
  z.strictObject({ type: z.literal('commit.made'), sha: ObjectId, tree: ObjectId, parent: ObjectId }),
  z.strictObject({ type: z.literal('branch.pushed'), branch: z.string(), sha: ObjectId, before: ObjectId.nullable() }),
  z.strictObject({ type: z.literal('pull_request'), number: z.int(), url: z.string(), draft: z.boolean(), found: z.boolean() }),
  z.strictObject({ type: z.literal('check_run'), id: z.int(), url: z.string(), conclusion: z.string() }),
  z.strictObject({ type: z.literal('comment'), id: z.int(), url: z.string() }),
  z.strictObject({ type: z.literal('step.started'), step: Step, round: z.int().optional() }),
  z.strictObject({ type: z.literal('step.ended'), step: Step, round: z.int().optional(), ok: z.boolean(), ms: z.number() }),
  z.strictObject({ type: z.literal('stop.asked'), by: z.string(), why: z.string() }),
  z.strictObject({ type: z.literal('attempt.ended'), state: TaskState, reason: EndReason, message: z.string() }),
  z.strictObject({ type: z.literal('cleanup'), proof: CleanupProof }),
  /** Something that went wrong on the way without ending the attempt. */
  z.strictObject({ type: z.literal('trouble'), what: z.string() }),
]);
export type ControlEvent = z.infer<typeof ControlEvent>;

/** Who is named as witness of a host's event. */
export function witnessOf(event: HostEvent): Witness {
  if (event.type === 'kernel.saw' || event.type === 'kernel.summary') return 'kernel';
  if (event.type === 'plan' || event.type === 'agent.said') return 'agent';
  return 'host';
}

/** One link of the chain as it is stored and exported: `hash` covers everything else, `previous` included. */
export const RecordedEvent = z.strictObject({
  seq: z.int().nonnegative(),
  at: z.iso.datetime(),
  witness: Witness,
  event: z.union([HostEvent, ControlEvent]),
  previous: z.string(),
  hash: z.string(),
});
export type RecordedEvent = z.infer<typeof RecordedEvent>;
