import { z } from 'zod';
import { cidrProblem } from './address.ts';
import { hostRuleProblem } from './host-name.ts';
import { pathProblem } from './match.ts';

/** A string that one of the matching functions has nothing to say against. */
const checked = (schema: z.ZodString, problem: (value: string) => string | null) =>
  schema.superRefine((value, context) => {
    const message = problem(value);
    if (message !== null) context.addIssue({ code: 'custom', message });
  });

/** Parts of an attempt in which the door behaves differently. `shut`: nothing at all passes, git route included. */
export const DoorPhase = z.enum(['setup', 'agent', 'verify', 'shut']);
export type DoorPhase = z.infer<typeof DoorPhase>;

const Phases = z
  .array(z.enum(['setup', 'agent', 'verify']))
  .min(1)
  .default(['setup'])
  .describe('parts of an attempt in which the rule is open: setup, agent, verify');
const HostPattern = checked(z.string().min(1), hostRuleProblem).describe(
  'an exact host name, or "*.example.com" for exactly one label below it, in canonical form',
);
const Ports = z.array(z.int().min(1).max(65535)).min(1).default([443]).describe('a list of ports, 443 by default');

/** What every rule has. */
const common = {
  id: z
    .string()
    .max(100)
    // Ids name members of records; what every object has by itself is none of ours.
    .refine((id) => /^[a-z0-9][\w.:@/-]*$/i.test(id) && !(id in {}), 'must be letters, digits and any of . _ : @ / -')
    .describe('the name shown in the ledger and in refusals, for example "preset:npm"'),
  phases: Phases,
  privateAddresses: z
    .array(checked(z.string(), cidrProblem))
    .default([])
    .describe('networks in CIDR form that are dialled although such addresses are refused by default'),
  expires: z.iso
    .datetime({ offset: true })
    .optional()
    .describe('when the rule ends to be in force, as "2027-01-31T00:00:00Z"; checked at every decision'),
};

/** Headers by which requests are told apart and connections kept: to set one of them is to write another request. */
const FRAMING: ReadonlySet<string> = new Set(
  'host connection content-length content-encoding transfer-encoding te trailer upgrade expect keep-alive proxy-connection'.split(
    ' ',
  ),
);

/**
 * A credential that the door adds to what passes under a rule; its value never enters the sandbox. The rule names the
 * variable of the control plane's environment that holds it.
 */
export const RuleCredential = z
  .strictObject({
    env: z
      .string()
      .regex(/^[A-Z][A-Z0-9_]*$/, 'must be the name of an environment variable, not a secret')
      .describe('the name of the environment variable of the control plane that holds the secret'),
    header: z
      .string()
      .regex(/^[a-z][a-z0-9-]*$/, 'must be a header name in lower case')
      .refine((name) => !FRAMING.has(name), 'must not be a header that carries no credential')
      .default('authorization'),
    /** `bearer`: `Bearer SECRET`; `basic`: base64 of `user:SECRET`; `plain`: the secret alone. */
    scheme: z.enum(['bearer', 'basic', 'plain']).default('bearer'),
    user: z
      .string()
      .regex(/^[\x21-\x39\x3b-\x7e]+$/, 'must be printable ASCII without a colon')
      .optional()
      .describe('the user name of the scheme "basic"'),
  })
  .refine((credential) => (credential.scheme === 'basic') === (credential.user !== undefined), {
    error: 'the scheme "basic" needs a user, and no other scheme has one',
    path: ['user'],
  });
export type RuleCredential = z.infer<typeof RuleCredential>;

/** TLS is ended with the task's authority and every request decided by itself. */
export const InspectRule = z.strictObject({
  how: z.literal('inspect').default('inspect'),
  ...common,
  host: HostPattern,
  ports: Ports,
  methods: z
    .array(z.string().regex(/^[A-Z]+$/, 'must be a method in capitals'))
    .min(1)
    .default(['GET', 'HEAD']),
  paths: z
    .array(checked(z.string().startsWith('/'), pathProblem))
    .min(1)
    .default(['/'])
    .describe('path prefixes, whole segments'),
  exact: z.boolean().default(false).describe('whether paths are meant as they stand: nothing below them, and no query'),
  credential: RuleCredential.optional(),
});
export type InspectRule = z.infer<typeof InspectRule>;

/** TLS passes unopened: only the name in its handshake is checked, and the ledger says that nothing inside was verified. */
export const TunnelRule = z.strictObject({ how: z.literal('tunnel'), ...common, host: HostPattern, ports: Ports });
export type TunnelRule = z.infer<typeof TunnelRule>;

/** Anything over TCP, for example a database: inside it is found at `127.0.0.1:listen`. */
export const ServiceRule = z.strictObject({
  how: z.literal('service'),
  ...common,
  host: HostPattern.refine((host) => !host.startsWith('*'), 'a service is one exact host'),
  port: z.int().min(1).max(65535),
  listen: z.int().min(1024).max(65535).describe('the port on 127.0.0.1 inside the sandbox'),
});
export type ServiceRule = z.infer<typeof ServiceRule>;

/** Reading another repository of the same installation through git, with a token that the sandbox never sees. */
export const RepositoryRule = z.strictObject({
  how: z.literal('repository'),
  id: common.id,
  phases: Phases,
  expires: common.expires,
  repository: z.string().regex(/^[\w.-]+\/[\w.-]+$/, 'must be owner/name'),
});
export type RepositoryRule = z.infer<typeof RepositoryRule>;

/**
 * One permission to reach something outside. What no rule allows is denied; an empty or absent list denies all.
 * `id` is shown in ledger rows and refusals.
 */
export const EgressRule = z.discriminatedUnion('how', [InspectRule, TunnelRule, ServiceRule, RepositoryRule]);
export type EgressRule = z.infer<typeof EgressRule>;

/** Whether a rule is in force at a time (milliseconds since 1970) and in a phase. */
export function inForce(rule: EgressRule, phase: DoorPhase, now: number): boolean {
  if (phase === 'shut' || !rule.phases.includes(phase)) return false;
  return rule.expires === undefined || now < Date.parse(rule.expires);
}
