import http from 'node:http';
import https from 'node:https';
import { isIP, type Socket } from 'node:net';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import type { InspectRule, ServiceRule, TunnelRule } from '../policy/egress.ts';
import { checkedLookup, checkLiteral } from './address.ts';
import { dialDirectly, dialThrough } from './dial.ts';
import type { DoorDecision } from './door.ts';
import type { DoorConfiguration } from './protocol.ts';

const KEPT_IDLE_MS = 10_000;

export interface Target {
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
  readonly method: string;
  readonly path: string;
  readonly headers: http.OutgoingHttpHeaders;
}

type Configuration = Pick<DoorConfiguration, 'authorities' | 'upstreamProxy' | 'hosts' | 'timings'>;
interface Agents {
  readonly http: http.Agent;
  readonly https: https.Agent;
}

/** Everything that the door dials. */
export class Upstreams {
  readonly #configuration: Configuration;
  readonly #secureContext: SecureContext;
  readonly #modelAgent: https.Agent;
  /** One pool per rule: a connection opened under one rule's addresses serves no other rule. */
  readonly #pools = new Map<InspectRule, Agents>();

  constructor(configuration: Configuration) {
    this.#configuration = configuration;
    this.#secureContext = createSecureContext({ ca: [...rootCertificates, configuration.authorities] });
    this.#modelAgent = new https.Agent({ secureContext: this.#secureContext });
  }

  /** Who resolves a host's name; null for an address, which nobody does. */
  resolverOf(host: string): DoorDecision['resolver'] {
    if (Object.hasOwn(this.#configuration.hosts, host)) return 'table';
    if (this.isProxied(host)) return 'proxy';
    return isIP(host) === 0 ? 'door' : null;
  }

  /** The same for what the host itself names. */
  resolverOfHost(base: URL): DoorDecision['resolver'] {
    return isIP(base.hostname.replace(/^\[|\]$/g, '')) === 0 ? 'door' : null;
  }

  /** Whether the company's forward proxy, and not the door, resolves this host. */
  isProxied(host: string): boolean {
    return this.#configuration.upstreamProxy !== null && !Object.hasOwn(this.#configuration.hosts, host);
  }

  /** Opens a request under a rule; its address is checked before anything is dialled. @throws Refusal 403 for an address literal. */
  egress(rule: InspectRule, target: Target): http.ClientRequest {
    checkLiteral(target.host, rule);
    const proxied = this.isProxied(target.host);
    const pool = this.#pool(rule);
    const lookup = proxied ? {} : { lookup: checkedLookup(rule, this.#configuration.hosts) };
    const options = { ...where(target), ...lookup, timeout: this.#configuration.timings.idleMs };
    const request = target.tls
      ? https.request({
          ...options,
          agent: proxied ? this.#proxied().https : pool.https,
          servername: isIP(target.host) === 0 ? target.host : '',
        })
      : http.request({ ...options, agent: proxied ? this.#proxied().http : pool.http });
    return request.once('timeout', () => request.destroy(new Error('the upstream was silent for too long')));
  }

  /** Connects for what passes unopened; the address is checked before anything is dialled. Rejects with a Refusal. */
  dial(rule: TunnelRule | ServiceRule, { host, port }: Pick<Target, 'host' | 'port'>, signal: AbortSignal): Promise<Socket> {
    const { upstreamProxy, hosts, timings } = this.#configuration;
    const options = { host, port, timeoutMs: timings.dialMs, signal };
    if (upstreamProxy === null || !this.isProxied(host)) return dialDirectly(rule, hosts, options);
    checkLiteral(host, rule);
    return dialThrough(new URL(upstreamProxy), this.#secureContext, options);
  }

  /** This task's upload-pack gateway. */
  git(socketPath: string, target: Pick<Target, 'method' | 'path' | 'headers'>): http.ClientRequest {
    const request = http.request({ ...target, socketPath, agent: false, timeout: this.#configuration.timings.idleMs });
    return request.once('timeout', () => request.destroy(new Error('the git gateway was silent for too long')));
  }

  /** The model gateway: named by the host, so its address is not judged. */
  model(base: URL, target: Pick<Target, 'method' | 'path' | 'headers'>): http.ClientRequest {
    const options = {
      ...target,
      host: base.hostname.replace(/^\[|\]$/g, ''),
      port: base.port === '' ? (base.protocol === 'https:' ? 443 : 80) : Number(base.port),
      path: `${base.pathname.replace(/\/$/, '')}${target.path}`,
      timeout: this.#configuration.timings.modelIdleMs,
    };
    const request =
      base.protocol === 'https:'
        ? https.request({ ...options, agent: this.#modelAgent })
        : http.request({ ...options, agent: false });
    return request.once('timeout', () => request.destroy(new Error('the model gateway was silent for too long')));
  }

  /** Drops every pooled connection. */
  close(): void {
    for (const { http: plain, https: secure } of this.#pools.values()) {
      plain.destroy();
      secure.destroy();
    }
    this.#pools.clear();
  }

  #pool(rule: InspectRule): Agents {
    const known = this.#pools.get(rule);
    if (known !== undefined) return known;
    const options = { keepAlive: true, timeout: KEPT_IDLE_MS, maxFreeSockets: 8 };
    const made = { http: new http.Agent(options), https: new https.Agent({ ...options, secureContext: this.#secureContext }) };
    this.#pools.set(rule, made);
    return made;
  }

  #proxied(): Agents {
    const proxy = this.#configuration.upstreamProxy ?? '';
    const proxyEnv = { HTTP_PROXY: proxy, HTTPS_PROXY: proxy };
    return { http: new http.Agent({ proxyEnv }), https: new https.Agent({ proxyEnv, secureContext: this.#secureContext }) };
  }
}

const where = ({ host, port, method, path, headers }: Target) => ({ host, port, method, path, headers });
