import type { ClientRequest, IncomingMessage } from 'node:http';
import { type InspectRule, inForce, type ServiceRule, type TunnelRule } from '../policy/egress.ts';
import { couldPass, decide, hostMatches, passesUnopened } from '../policy/match.ts';
import { credentialOf, secretsIn, withCredential } from './credentials.ts';
import { type DoorDecision, type DoorState, GIT_ROUTE, MODEL_ROUTE } from './door.ts';
import { GitHubNames, type OwnAnswer } from './github.ts';
import { checkQuery, requestHeaders } from './headers.ts';
import type { Quota } from './limits.ts';
import type { DoorConfiguration } from './protocol.ts';
import { egressRefusalText, Refusal, repositoryRefusalText } from './refusal.ts';
import { gitIsOpen, Repositories } from './repositories.ts';
import type { Upstreams } from './upstream.ts';

/** A request whose address parts were read and found consistent. */
export interface Addressed {
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
  readonly method: string;
  readonly path: string;
}

/** What was let through: under which rule, and in which states and until when it may go on. */
export interface Permission {
  readonly rule: string;
  readonly reason: string;
  /** When the rule expires, in milliseconds since 1970. */
  readonly until: number | null;
  stillAllowed(state: DoorState): boolean;
}

/** A request that goes to an upstream. */
export interface Passage extends Permission {
  readonly upstream: ClientRequest;
  readonly resolver: DoorDecision['resolver'];
  /** Counts its bytes; null for the routes that are not outside. */
  readonly quota: Quota | null;
  /** What an answer's headers may not hold. */
  readonly secrets: readonly string[];
}

/** A request that the door answers by itself. */
export interface Answered extends Permission {
  readonly answer: OwnAnswer;
}

/** What is done with a CONNECT. */
export type Connecting =
  | { readonly how: 'inspect' }
  | { readonly how: 'tunnel'; readonly rule: TunnelRule }
  | { readonly how: 'service'; readonly rule: ServiceRule };

type Route = DoorDecision['route'];
type Place = Pick<Addressed, 'tls' | 'host' | 'port'>;

/** A refusal by an egress rule, or by there being none; its text says what would allow it. */
function egressRefusal(state: DoorState, addressed: Addressed, reason: string, rule: string | null): Refusal {
  return new Refusal(403, reason, { rule, text: egressRefusalText({ ...addressed, phase: state.phase }, reason) });
}

/** Decides requests and opens their way. */
export class Routes {
  readonly #inspect: readonly InspectRule[];
  readonly #tunnels: readonly TunnelRule[];
  readonly #services: readonly ServiceRule[];
  readonly #configuration: DoorConfiguration;
  readonly #repositories: Repositories;
  readonly #github: GitHubNames | null;
  readonly #upstreams: Upstreams;
  readonly #quota: Quota;

  constructor(configuration: DoorConfiguration, upstreams: Upstreams, quota: Quota) {
    const { rules } = configuration;
    this.#inspect = rules.filter((rule) => rule.how === 'inspect');
    this.#tunnels = rules.filter((rule) => rule.how === 'tunnel');
    this.#services = rules.filter((rule) => rule.how === 'service');
    this.#configuration = configuration;
    this.#repositories = new Repositories(configuration);
    this.#github = configuration.github === null ? null : new GitHubNames(configuration.github);
    this.#upstreams = upstreams;
    this.#quota = quota;
  }

  /** By which way something goes, whether it is allowed or not. */
  routeOf({ host, ...rest }: Omit<Addressed, 'method'>): Route {
    if (host === GIT_ROUTE) return 'git';
    if (host === MODEL_ROUTE) return 'model';
    const name = this.#github?.nameOf({ host, ...rest }) ?? null;
    return name === 'api' ? 'snapshot' : name === 'web' ? 'git' : 'egress';
  }

  /** @throws Refusal */
  open(state: DoorState, addressed: Addressed, request: IncomingMessage): Passage | Answered {
    const route = this.routeOf(addressed);
    if (route === 'git') return this.#git(state, addressed, request);
    if (route === 'snapshot') return this.#snapshot(state, addressed);
    if (route === 'model') return this.#model(state, addressed, request);
    return this.#egress(state, addressed, request);
  }

  /** Whether a tunnel to this host may stand: some request could pass through it. */
  tunnelMayStand(state: DoorState, place: Place): boolean {
    if (state.phase === 'shut') return false;
    if (this.#github !== null && this.#github.nameOf({ ...place, path: '/' }) !== null) return true;
    return couldPass(this.#inspect, { phase: state.phase, host: place.host, port: place.port }, Date.now());
  }

  /** Decides a CONNECT: what can be inspected is, whatever else would let it pass. @throws Refusal */
  connect(state: DoorState, addressed: Addressed): Connecting {
    const { host, port } = addressed;
    if (host === GIT_ROUTE || host === MODEL_ROUTE)
      throw new Refusal(403, `${host} is spoken to in plain http on port 80, not through a tunnel`);
    if (this.tunnelMayStand(state, addressed)) return { how: 'inspect' };
    const place = { phase: state.phase, host, port };
    const tunnel = passesUnopened(this.#tunnels, place, Date.now());
    if (tunnel !== null) return { how: 'tunnel', rule: tunnel };
    const service = passesUnopened(this.#services, place, Date.now());
    if (service !== null) return { how: 'service', rule: service };
    throw this.#unconnected(state, addressed);
  }

  #unconnected(state: DoorState, addressed: Addressed): Refusal {
    if (state.phase === 'shut') return egressRefusal(state, addressed, 'the door is shut', null);
    const unopened = [...this.#tunnels, ...this.#services].find((rule) => hostMatches(rule.host, addressed.host)) ?? null;
    const inspected = this.#inspect.find((rule) => hostMatches(rule.host, addressed.host)) ?? null;
    // The policy's own decision finds the words; for a rule that passes unopened it is asked as if that inspected.
    const nearest = inspected ?? (unopened === null ? null : asInspected(unopened));
    const request = { ...addressed, phase: state.phase, method: nearest?.methods[0] ?? 'GET', path: nearest?.paths[0] ?? '/' };
    const verdict = decide(nearest === null ? [] : [nearest], request, Date.now());
    return egressRefusal(state, addressed, verdict.allowed ? 'not allowed' : verdict.reason, nearest?.id ?? null);
  }

  #egress(state: DoorState, addressed: Addressed, request: IncomingMessage): Passage {
    if (state.phase === 'shut') throw egressRefusal(state, addressed, 'the door is shut', null);
    if (!addressed.tls && addressed.port !== 80)
      throw egressRefusal(state, addressed, 'plain http passes to port 80 only; use https', null);
    const verdict = decide(this.#inspect, { ...addressed, phase: state.phase }, Date.now());
    if (!verdict.allowed) throw egressRefusal(state, addressed, verdict.reason, verdict.nearest?.id ?? null);
    const { rule } = verdict;
    const { host, port, tls } = addressed;
    checkQuery(addressed.path);
    this.#quota.check();
    const { credentials } = this.#configuration;
    const credential = credentialOf(credentials, rule);
    const shown = port === (tls ? 443 : 80) ? bracketed(host) : `${bracketed(host)}:${port}`;
    const headers = withCredential(requestHeaders(request, shown), credentials, rule, tls);
    const resolver = this.#upstreams.resolverOf(host);
    return {
      rule: rule.id,
      reason: resolver === 'proxy' ? 'allowed; the forward proxy resolved the name' : 'allowed',
      upstream: this.#upstreams.egress(rule, { ...addressed, headers }),
      resolver,
      quota: this.#quota,
      secrets: credential === null ? [] : secretsIn(credential),
      until: expiryOf(rule),
      stillAllowed: (next) => inForce(rule, next.phase, Date.now()),
    };
  }

  #git(state: DoorState, addressed: Addressed, request: IncomingMessage): Passage {
    const { host, method, port } = addressed;
    if (host === GIT_ROUTE && port !== 80) throw new Refusal(403, `${GIT_ROUTE} is spoken to on port 80`);
    const path = host === GIT_ROUTE ? addressed.path : (this.#github?.below('web', addressed.path) ?? addressed.path);
    const { socket, ...found } = this.#repositories.open(state, method, path);
    const headers = requestHeaders(request, GIT_ROUTE);
    return {
      ...found,
      reason: 'allowed',
      upstream: this.#upstreams.git(socket, { method, path: found.path, headers }),
      resolver: null,
      quota: null,
      secrets: [],
    };
  }

  #snapshot(state: DoorState, addressed: Addressed): Answered {
    const github = this.#github;
    if (github === null || !gitIsOpen(state)) throw new Refusal(403, `GitHub is not answered for in ${state.phase}`);
    const answer = github.snapshot(addressed.method, addressed.path);
    if (answer !== null)
      return { rule: 'snapshot', reason: 'answered from the text at the trigger', until: null, stillAllowed: gitIsOpen, answer };
    const reason =
      'of GitHub’s API only reads of the task’s own repository and its issue are answered, from the text at the trigger';
    const other = /^\/repos\/([\w.-]+\/[\w.-]+)(?:[/?]|$)/.exec(github.below('api', addressed.path))?.[1];
    if (other === undefined || addressed.method !== 'GET') throw new Refusal(403, reason);
    const text = repositoryRefusalText(other, state.phase, `${reason}; another repository can be read through git`);
    throw new Refusal(403, reason, { text });
  }

  #model(state: DoorState, { method, path, port }: Addressed, request: IncomingMessage): Passage {
    if (state.phase !== 'agent' || state.model === null)
      throw new Refusal(403, `the model is not to be had in ${state.phase} now`);
    if (port !== 80 || (method !== 'POST' && method !== 'GET'))
      throw new Refusal(405, 'the model is spoken to with GET and POST on port 80');
    const { url, key } = state.model;
    const base = new URL(url);
    const headers = { ...requestHeaders(request, base.host), authorization: `Bearer ${key}`, 'x-api-key': key };
    return {
      rule: 'model',
      reason: 'allowed',
      upstream: this.#upstreams.model(base, { method, path, headers }),
      resolver: this.#upstreams.resolverOfHost(base),
      quota: null,
      secrets: [key],
      until: null,
      stillAllowed: (next) => next.phase === 'agent' && next.model?.url === url && next.model.key === key,
    };
  }
}

export const expiryOf = (rule: { readonly expires?: string | undefined }): number | null =>
  rule.expires === undefined ? null : Date.parse(rule.expires);

/** What an unopened rule would allow if it inspected: for saying what it lacks. */
function asInspected(rule: TunnelRule | ServiceRule): InspectRule {
  const { id, phases, privateAddresses, expires, host } = rule;
  const ports = rule.how === 'service' ? [rule.port] : rule.ports;
  return { how: 'inspect', id, phases, privateAddresses, expires, host, ports, methods: ['CONNECT'], paths: ['/'], exact: false };
}

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);
