/**
 * What passes between the door's process and its host: JSON lines, configuration and commands on its stdin, reports
 * on its stdout. The process handles hostile bytes, so the host believes its reports only as far as these schemas go.
 */
import { z } from 'zod';
import { DoorPhase, EgressRule } from '../policy/egress.ts';
import { IssueSnapshot, RepositoryRef } from '../task/task.ts';

/** Longest line of the protocol, either way. Bytes. */
export const LINE_LIMIT = 4 * 1024 * 1024;

export const DoorStateMessage = z.union([
  z.strictObject({ phase: z.enum(['setup', 'verify', 'shut']) }),
  z.strictObject({
    phase: z.literal('agent'),
    model: z.strictObject({ url: z.url({ protocol: /^https?$/ }), key: z.string().regex(/^[\x21-\x7e]+$/) }).nullable(),
  }),
]);

const time = z
  .int()
  .positive()
  .max(2 ** 31 - 1);

/** The first line. */
export const DoorConfiguration = z.strictObject({
  socket: z.string(),
  rules: z.array(EgressRule),
  gitSocket: z.string().nullable(),
  repositories: z.array(z.strictObject({ name: z.string().regex(/^[\w.-]+\/[\w.-]+$/), rule: z.string(), socket: z.string() })),
  github: z
    .strictObject({
      apiUrl: z.url({ protocol: /^https?$/ }),
      webUrl: z.url({ protocol: /^https?$/ }),
      repository: RepositoryRef,
      issue: IssueSnapshot,
    })
    .nullable(),
  credentials: z.record(
    z.string(),
    z.strictObject({ header: z.string().regex(/^[a-z][a-z0-9-]*$/), value: z.string().regex(/^[\x20-\x7e]+$/) }),
  ),
  limits: z.strictObject({
    slots: z.int().positive(),
    requestsPerSecond: z.number().positive(),
    bytesUp: z.int().nonnegative(),
    bytesDown: z.int().nonnegative(),
  }),
  timings: z.strictObject({
    headMs: time,
    requestMs: time,
    helloMs: time,
    dialMs: time,
    idleMs: time,
    modelIdleMs: time,
    tunnelIdleMs: time,
    exchangeMs: time,
    tunnelMs: time,
  }),
  authorities: z.string(),
  upstreamProxy: z.url({ protocol: /^https?$/ }).nullable(),
  hosts: z.record(z.string(), z.string()),
});
export type DoorConfiguration = z.infer<typeof DoorConfiguration>;

/** Every line after it. */
export const DoorCommand = z.discriminatedUnion('command', [
  z.strictObject({ command: z.literal('set'), id: z.int(), state: DoorStateMessage }),
  z.strictObject({ command: z.literal('close') }),
]);
export type DoorCommand = z.infer<typeof DoorCommand>;

const text = z.string().max(8192);
const count = z.number().nonnegative();

export const DoorReport = z.discriminatedUnion('report', [
  z.strictObject({ report: z.literal('ready'), authority: z.string().startsWith('-----BEGIN CERTIFICATE-----').max(8192) }),
  z.strictObject({ report: z.literal('in_force'), id: z.int() }),
  z.strictObject({
    report: z.literal('decision'),
    decision: z.strictObject({
      n: z.int().nonnegative(),
      phase: DoorPhase,
      route: z.enum(['egress', 'tunnel', 'service', 'git', 'snapshot', 'model']),
      method: text,
      host: text,
      port: z.int().min(0).max(65_535),
      path: text,
      verdict: z.enum(['allowed', 'refused', 'failed']),
      rule: text.nullable(),
      reason: text,
      address: text.nullable(),
      resolver: z.enum(['door', 'proxy', 'table']).nullable(),
      status: z.int().nullable(),
      bytesUp: count,
      bytesDown: count,
      ms: count,
    }),
  }),
  z.strictObject({ report: z.literal('closed') }),
]);
export type DoorReport = z.infer<typeof DoorReport>;
