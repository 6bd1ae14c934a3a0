import { getCACertificates } from 'node:tls';
import { EnvHttpProxyAgent, fetch as undiciFetch } from 'undici';

export type Fetch = typeof globalThis.fetch;

export interface NetworkOptions {
  /** A forward proxy for plain and for TLS requests; null for none. */
  httpProxy: string | null;
  httpsProxy: string | null;
  /** Hosts that are reached without the proxy, in the form of NO_PROXY. */
  noProxy: string;
  /** PEM text of further certificate authorities beside the machine's own; empty for none. */
  authorities: string;
}

/** A fetch for networks with a forward proxy or a certificate authority of their own; `close` ends its connections. */
export function openNetwork(options: NetworkOptions): { fetch: Fetch; close: () => Promise<void> } {
  const ca = options.authorities === '' ? undefined : [...getCACertificates('default'), options.authorities];
  const tls = ca === undefined ? {} : { connect: { ca }, requestTls: { ca }, proxyTls: { ca } };
  const agent = new EnvHttpProxyAgent({
    // The empty string is “none”; leaving them out would make the agent read the environment by itself.
    httpProxy: options.httpProxy ?? '',
    httpsProxy: options.httpsProxy ?? '',
    noProxy: options.noProxy,
    ...tls,
  });
  // The two declarations of fetch differ in names only: undici's own, and Node's copy of it.
  const fetch = ((input: string, init: object) => undiciFetch(input, { ...init, dispatcher: agent })) as unknown as Fetch;
  return { fetch, close: () => agent.close() };
}

/**
 * Gives every request its own time limit, body included, and reads the body whole, so that an answer that breaks off is a
 * failed request. Waiting for a rate limit to end is not part of a request.
 */
export function boundedFetch(fetch: Fetch, timeoutMs: number): Fetch {
  return async (input, init) => {
    const given = init?.signal ?? null;
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const response = await fetch(input, { ...init, signal: given === null ? timeout : AbortSignal.any([given, timeout]) });
      const body = await response.arrayBuffer();
      const { status, statusText, headers } = response;
      const whole = new Response([204, 205, 304].includes(status) ? null : body, { status, statusText, headers });
      return Object.defineProperty(whole, 'url', { value: response.url });
    } catch (error) {
      // Only an error of this name is taken for the caller's wish, and not tried again.
      if (given?.aborted === true) throw new DOMException('The caller gave up.', 'AbortError');
      throw error;
    }
  };
}
