import { getCACertificates } from 'node:tls';
import { Agent, type Dispatcher, ProxyAgent } from 'undici';

/** A model may think for long before the first byte, and between two. */
const SILENCE_MS = 10 * 60_000;

/**
 * Connections to model endpoints: straight, or through the company's forward proxy; `authorities` (PEM) are trusted
 * beside the host's own. To be closed by the caller.
 */
export function modelDispatcher(options: { proxy: string | null; authorities: readonly string[] }): Dispatcher {
  // `default` holds what NODE_EXTRA_CA_CERTS adds.
  const ca = [...getCACertificates('default'), ...options.authorities];
  const timeouts = { headersTimeout: SILENCE_MS, bodyTimeout: SILENCE_MS };
  return options.proxy === null
    ? new Agent({ ...timeouts, connect: { ca } })
    : new ProxyAgent({ ...timeouts, uri: options.proxy, requestTls: { ca }, proxyTls: { ca } });
}
