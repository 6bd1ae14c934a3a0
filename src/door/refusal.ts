import { stringify } from 'yaml';
import type { DoorPhase } from '../policy/egress.ts';
import type { EgressRequest } from '../policy/match.ts';

/** What a refusal may say beyond its reason. */
interface More {
  /** The address that was found and not dialled. */
  readonly address?: string | null;
  /** The rule that came closest. */
  readonly rule?: string | null;
  /** What the client is told, where that is more than the reason. */
  readonly text?: string;
}

/** A request that does not pass: the answer's status, and why in a person's words. */
export class Refusal extends Error {
  readonly status: 400 | 403 | 405 | 421 | 502 | 503 | 504;
  readonly address: string | null;
  readonly rule: string | null;
  /** The answer's body. */
  readonly text: string;

  constructor(status: Refusal['status'], reason: string, { address = null, rule = null, text }: More = {}) {
    super(reason);
    this.name = 'Refusal';
    this.status = status;
    this.address = address;
    this.rule = rule;
    this.text = text ?? `coatcheck refused this request: ${reason}.\n`;
  }

  /** `refused`: the door said no. `failed`: the other side could not be reached or broke off. */
  get verdict(): 'refused' | 'failed' {
    return this.status === 502 || this.status === 504 ? 'failed' : 'refused';
  }
}

const openable = (phase: DoorPhase) => (phase === 'shut' ? 'setup' : phase);

/** Where https is usually spoken: elsewhere a connection that is asked for unopened is taken for a service. */
const HTTPS_PORTS: readonly number[] = [443, 8443, 4443, 9443];

/** The grant that would let an egress request pass. A path is part of it, its query is not. */
export function missingGrant(request: EgressRequest): Readonly<Record<string, unknown>> {
  const { host, port } = request;
  const common = { id: host, host, phases: [openable(request.phase)] };
  if (request.method !== 'CONNECT')
    return { ...common, ports: [port], methods: [request.method], paths: [request.path.replace(/[?#].*$/s, '') || '/'] };
  if (HTTPS_PORTS.includes(port)) return { ...common, ports: [port], methods: ['GET', 'HEAD'], paths: ['/'] };
  return { how: 'service', ...common, port, listen: port >= 1024 ? port : port + 10_000 };
}

const told = (what: string, grant: Readonly<Record<string, unknown>>): string =>
  [
    what,
    'Trying again or another way gives the same answer. The operator can allow it with this grant in the policy file:',
    '',
    stringify({ egress: { grants: [grant] } }),
  ].join('\n');

/** The body of a policy refusal, for people and agents alike: what, why, and the rule that would allow it. */
export function egressRefusalText(request: EgressRequest, reason: string): string {
  const path = request.path.replace(/[?#].*$/s, '') || '/';
  const what = `${request.method} ${request.host}:${request.port}${request.method === 'CONNECT' ? '' : path}`;
  return told(`coatcheck refused ${what} in ${request.phase}: ${reason}.`, missingGrant(request));
}

/** What came through a tunnel was not TLS: only a service passes as it is. */
export function notTlsText(request: Pick<EgressRequest, 'host' | 'port' | 'phase'>, reason: string): string {
  const { host, port, phase } = request;
  const listen = port >= 1024 ? port : port + 10_000;
  const grant = { how: 'service', id: host, host, port, listen, phases: [openable(phase)] };
  return told(`coatcheck refused what was sent to ${host}:${port} in ${phase}: ${reason}.`, grant);
}

/** The body of a refusal to read another repository. */
export function repositoryRefusalText(repository: string, phase: DoorPhase, reason: string): string {
  const grant = { how: 'repository', id: repository, repository, phases: [openable(phase)] };
  return told(`coatcheck refused to read ${repository} in ${phase}: ${reason}.`, grant);
}
