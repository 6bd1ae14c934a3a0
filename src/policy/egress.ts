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

/**
 * One permission to reach something outside. What no rule allows is denied; an empty or absent list denies all.
 * `id` is shown in ledger rows and refusals.
 */
export const EgressRule = z.strictObject({
  id: z.string().min(1).describe('Name shown in the ledger, for example `preset:npm`.'),
  host: checked(z.string().min(1), hostRuleProblem).describe(
    'An exact host name, or `*.example.com` for exactly one label below it. In canonical form.',
  ),
  ports: z.array(z.int().min(1).max(65535)).min(1).default([443]),
  methods: z
    .array(z.string().regex(/^[A-Z]+$/, 'must be a method in capitals'))
    .min(1)
    .default(['GET', 'HEAD']),
  paths: z
    .array(checked(z.string().startsWith('/'), pathProblem))
    .min(1)
    .default(['/'])
    .describe('Path prefixes.'),
  phases: z
    .array(z.enum(['setup', 'agent', 'verify']))
    .min(1)
    .default(['setup']),
  /** Addresses that are refused by default (private, loopback …) are dialled only when listed here, in CIDR form. */
  privateAddresses: z.array(checked(z.string(), cidrProblem)).default([]),
});
export type EgressRule = z.infer<typeof EgressRule>;
