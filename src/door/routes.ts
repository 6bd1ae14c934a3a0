import type { ClientRequest, IncomingMessage } from 'node:http';
import type { InspectRule } from '../policy/egress.ts';
import { couldPass, decide, hostMatches } from '../policy/match.ts';
import { type DoorState, GIT_ROUTE, MODEL_ROUTE } from './door.ts';
import type { Passage } from './exchange.ts';
import { requestHeaders } from './headers.ts';
import type { DoorConfiguration } from './protocol.ts';
import { egressRefusalText, Refusal } from './refusal.ts';
import type { Upstreams } from './upstream.ts';

/** A request whose address parts were read and found consistent. */
export interface Addressed {
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
  readonly method: string;
  readonly path: string;
}

/** A request that was let through: where it goes, and in which states it may go on. */
export interface Way extends Passage {
  readonly upstream: ClientRequest;
  stillAllowed(state: DoorState): boolean;
}

export const routeOf = (host: string): 'egress' | 'git' | 'model' =>
  host === GIT_ROUTE ? 'git' : host === MODEL_ROUTE ? 'model' : 'egress';

/** A refusal by an egress rule, or by there being none; its text says what would allow it. */
export class EgressRefusal extends Refusal {
  readonly text: string;
  readonly nearest: string | null;

  constructor(state: DoorState, addressed: Addressed, reason: string, nearest: InspectRule | null) {
    super(403, reason);
    this.nearest = nearest?.id ?? null;
    this.text = egressRefusalText({ ...addressed, phase: state.phase }, reason);
  }
}

/** Decides requests and opens their way. */
export class Routes {
  readonly #rules: readonly InspectRule[];
  readonly #gitSocket: string | null;
  readonly #upstreams: Upstreams;

  constructor(configuration: Pick<DoorConfiguration, 'rules' | 'gitSocket'>, upstreams: Upstreams) {
    this.#rules = configuration.rules.filter((rule) => rule.how === 'inspect');
    this.#gitSocket = configuration.gitSocket;
    this.#upstreams = upstreams;
  }

  /** @throws Refusal */
  open(state: DoorState, addressed: Addressed, request: IncomingMessage): Way {
    if (addressed.host === GIT_ROUTE) return this.#git(state, addressed, request);
    if (addressed.host === MODEL_ROUTE) return this.#model(state, addressed, request);
    return this.#egress(state, addressed, request);
  }

  /** Whether a tunnel to this host may stand: some request could pass through it. */
  tunnelMayStand(state: DoorState, host: string, port: number): boolean {
    return couldPass(this.#rules, { phase: state.phase, host, port }, Date.now());
  }

  /** @throws Refusal when no request at all could pass through a tunnel to there. */
  checkTunnel(state: DoorState, addressed: Addressed): void {
    if (routeOf(addressed.host) !== 'egress')
      throw new Refusal(403, `${addressed.host} is spoken to in plain http on port 80, not through a tunnel`);
    if (this.tunnelMayStand(state, addressed.host, addressed.port)) return;
    if (state.phase === 'shut') throw new EgressRefusal(state, addressed, 'the door is shut', null);
    const nearest = this.#rules.find((rule) => hostMatches(rule.host, addressed.host)) ?? null;
    const request = {
      ...addressed,
      phase: state.phase,
      method: nearest?.methods[0] ?? 'GET',
      path: nearest?.paths[0] ?? '/',
    };
    const verdict = decide(this.#rules, request, Date.now());
    throw new EgressRefusal(state, addressed, verdict.allowed ? 'not allowed' : verdict.reason, nearest);
  }

  #egress(state: DoorState, addressed: Addressed, request: IncomingMessage): Way {
    if (state.phase === 'shut') throw new EgressRefusal(state, addressed, 'the door is shut', null);
    if (!addressed.tls && addressed.port !== 80)
      throw new EgressRefusal(state, addressed, 'plain http passes to port 80 only; use https', null);
    const verdict = decide(this.#rules, { ...addressed, phase: state.phase }, Date.now());
    if (!verdict.allowed) throw new EgressRefusal(state, addressed, verdict.reason, verdict.nearest);
    const { rule } = verdict;
    const { host, port } = addressed;
    const shown = port === (addressed.tls ? 443 : 80) ? bracketed(host) : `${bracketed(host)}:${port}`;
    return {
      rule: rule.id,
      reason: this.#upstreams.isProxied(host) ? 'allowed; the forward proxy resolved the name' : 'allowed',
      upstream: this.#upstreams.egress(rule, { ...addressed, headers: requestHeaders(request, shown) }),
      stillAllowed: (next) => next.phase !== 'shut' && rule.phases.includes(next.phase),
    };
  }

  #git(state: DoorState, { method, path, port }: Addressed, request: IncomingMessage): Way {
    if (!gitIsOpen(state)) throw new Refusal(403, `the repository is not served in ${state.phase}`);
    if (this.#gitSocket === null) throw new Refusal(403, 'this task has no repository to serve');
    const reads = port === 80 && READS.some((each) => each.method === method && each.path.test(path));
    if (!reads)
      throw new Refusal(403, 'the repository can be fetched from and nothing else: a push is made by the control plane');
    const headers = requestHeaders(request, GIT_ROUTE);
    return {
      rule: 'git',
      reason: 'allowed',
      upstream: this.#upstreams.git(this.#gitSocket, { method, path, headers }),
      stillAllowed: gitIsOpen,
    };
  }

  #model(state: DoorState, { method, path, port }: Addressed, request: IncomingMessage): Way {
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
      stillAllowed: (next) => next.phase === 'agent' && next.model?.url === url && next.model.key === key,
    };
  }
}

/** git-scm.com/docs/http-protocol: the two requests of a fetch. Nothing before the last `?` may hold another. */
const READS: readonly { readonly method: string; readonly path: RegExp }[] = [
  { method: 'GET', path: /^\/[^?]+\/info\/refs\?service=git-upload-pack$/ },
  { method: 'POST', path: /^\/[^?]+\/git-upload-pack$/ },
];

const gitIsOpen = (state: DoorState): boolean => state.phase === 'setup' || state.phase === 'agent';
const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);
