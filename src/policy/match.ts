import { type DoorPhase, type InspectRule, inForce, type ServiceRule, type TunnelRule } from './egress.ts';

/** One request as the door understood it; `host` in canonical form. */
export interface EgressRequest {
  readonly phase: DoorPhase;
  readonly host: string;
  readonly port: number;
  readonly method: string;
  /** Path with its query, as sent. */
  readonly path: string;
}

export type EgressVerdict =
  | { readonly allowed: true; readonly rule: InspectRule }
  /** `nearest` is the rule that came closest, so that a refusal can say what it lacks. */
  | { readonly allowed: false; readonly reason: string; readonly nearest: InspectRule | null };

/** Whether a rule's host covers a canonical host: equal, or exactly one label below a wildcard. */
export function hostMatches(pattern: string, host: string): boolean {
  if (!pattern.startsWith('*.')) return pattern === host;
  const dot = host.indexOf('.');
  return dot > 0 && host.slice(dot) === pattern.slice(1);
}

/** Whether a prefix covers a path: whole segments only, the query left aside. */
export function pathMatches(prefix: string, path: string): boolean {
  const bare = path.replace(/[?#].*$/s, '');
  return bare === prefix || bare.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`);
}

/**
 * What is wrong with a path before any policy, or null: dot segments and control characters in any number of
 * percent-encodings would make the path that is matched another one than the path that is served.
 */
export function pathProblem(path: string): string | null {
  if (!path.startsWith('/')) return 'the path does not start with /';
  let decoded = path.replace(/[?#].*$/s, '');
  for (let round = 0; round < 4; round++) {
    if (/\p{Cc}/u.test(decoded)) return 'the path holds a control character';
    if (decoded.split(/[/\\]/).some((segment) => segment === '.' || segment === '..')) return 'the path holds a dot segment';
    const next = decoded.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    if (next === decoded) return null;
    decoded = next;
  }
  return 'the path is percent-encoded too many times';
}

/**
 * Decides one request at a time in milliseconds since 1970. No rule, no way: an empty list denies all. Only rules that
 * inspect can allow a request: what passes unopened is not asked here.
 */
export function decide(rules: readonly InspectRule[], request: EgressRequest, now: number): EgressVerdict {
  const sameHost = rules.filter((rule) => hostMatches(rule.host, request.host));
  const checks: readonly [(rule: InspectRule) => boolean, (rule: InspectRule) => string][] = [
    [(r) => r.ports.includes(request.port), () => `port ${request.port} is not allowed for ${request.host}`],
    [
      (r) => inForce({ ...r, expires: undefined }, request.phase, now),
      (r) => `rule ${r.id} is open in ${r.phases.join(', ')} only, and this is ${request.phase}`,
    ],
    [(r) => inForce(r, request.phase, now), (r) => `rule ${r.id} expired at ${r.expires}`],
    [(r) => r.methods.includes(request.method), (r) => `rule ${r.id} allows ${r.methods.join(', ')} only`],
    [
      (r) => r.paths.some((path) => (r.exact ? path === request.path : pathMatches(path, request.path))),
      (r) => `rule ${r.id} does not cover this path`,
    ],
  ];
  let left = sameHost;
  for (const [holds, reason] of checks) {
    const [nearest] = left;
    if (nearest === undefined) return { allowed: false, reason: `no rule allows ${request.host}`, nearest: null };
    left = left.filter(holds);
    if (left.length === 0) return { allowed: false, reason: reason(nearest), nearest };
  }
  const [rule] = left;
  return rule === undefined
    ? { allowed: false, reason: `no rule allows ${request.host}`, nearest: null }
    : { allowed: true, rule };
}

type Place = Pick<EgressRequest, 'phase' | 'host' | 'port'>;

/** Whether any request at all could pass to this host and port: what a tunnel that is inspected needs to be opened. */
export function couldPass(rules: readonly InspectRule[], place: Place, now: number): boolean {
  return rules.some(
    (rule) => hostMatches(rule.host, place.host) && rule.ports.includes(place.port) && inForce(rule, place.phase, now),
  );
}

/** The rule by which bytes may pass unopened to this host and port; null when there is none in force. */
export function passesUnopened<R extends TunnelRule | ServiceRule>(rules: readonly R[], place: Place, now: number): R | null {
  const portsOf = (rule: TunnelRule | ServiceRule) => (rule.how === 'service' ? [rule.port] : rule.ports);
  const found = rules.find(
    (rule) => hostMatches(rule.host, place.host) && portsOf(rule).includes(place.port) && inForce(rule, place.phase, now),
  );
  return found ?? null;
}
