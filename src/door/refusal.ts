import { stringify } from 'yaml';
import type { EgressRequest } from '../policy/match.ts';

/** A request that does not pass: the answer's status, and why in a person's words. */
export class Refusal extends Error {
  readonly status: 400 | 403 | 405 | 421 | 502 | 503 | 504;
  readonly address: string | null;

  constructor(status: Refusal['status'], reason: string, address: string | null = null) {
    super(reason);
    this.name = 'Refusal';
    this.status = status;
    this.address = address;
  }

  /** `refused`: the door said no. `failed`: the other side could not be reached or broke off. */
  get verdict(): 'refused' | 'failed' {
    return this.status === 502 || this.status === 504 ? 'failed' : 'refused';
  }
}

/** The body of a policy refusal, for people and agents alike: what, why, and the rule that would allow it. */
export function egressRefusalText(request: EgressRequest, reason: string): string {
  const phase = request.phase === 'shut' ? 'setup' : request.phase;
  const path = request.path.replace(/[?#].*$/s, '') || '/';
  const grant = {
    id: request.host,
    host: request.host,
    ports: [request.port],
    methods: [request.method === 'CONNECT' ? 'GET' : request.method],
    paths: [path],
    phases: [phase],
  };
  return [
    `coatcheck refused ${request.method} ${request.host}:${request.port}${request.method === 'CONNECT' ? '' : path} in ${request.phase}: ${reason}.`,
    'Trying again or another way gives the same answer. The operator can allow it with this grant in the policy file:',
    '',
    stringify({ egress: { grants: [grant] } }),
  ].join('\n');
}

/** The body of every other refusal. */
export const refusalText = (refusal: Refusal): string => `coatcheck refused this request: ${refusal.message}.\n`;
