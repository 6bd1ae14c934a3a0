import type Docker from 'dockerode';
import { CoatcheckError } from '../errors.ts';
import { RELAY } from './container-options.ts';
import type { Engine } from './engine.ts';
import { runOwn } from './exec-channel.ts';

const BUNDLE = '/run/trust/authorities.pem';
const WRITE = `umask 022 && mkdir -p /run/trust && cat /etc/ssl/certs/ca-certificates.crt - > ${BUNDLE}.new && mv ${BUNDLE}.new ${BUNDLE}`;

/** How programs are told of the bundle; each name is read by OpenSSL, Node, git, curl, requests, pip, npm or cargo. */
export const TRUST_ENVIRONMENT: Readonly<Record<string, string>> = Object.fromEntries(
  [
    'SSL_CERT_FILE',
    'NODE_EXTRA_CA_CERTS',
    'GIT_SSL_CAINFO',
    'CURL_CA_BUNDLE',
    'REQUESTS_CA_BUNDLE',
    'PIP_CERT',
    'npm_config_cafile',
    'CARGO_HTTP_CAINFO',
  ].map((name) => [name, BUNDLE]),
);

/**
 * Writes the image's authorities and this one (PEM) where the agent's user can read but not change them.
 * @throws CoatcheckError `trust_failed`
 */
export async function writeTrust(engine: Engine, container: Docker.Container, authority: string, mark: string): Promise<void> {
  const stdin = `\n${authority.trim()}\n`;
  const done = await runOwn(engine, container, { user: RELAY, script: WRITE, mark, stdin, ms: 10_000 });
  if (done?.code === 0) return;
  throw new CoatcheckError(
    'trust_failed',
    'The certificate authority could not be written into the sandbox.',
    'The runner image needs /etc/ssl/certs/ca-certificates.crt; derive images from the one that `npm run setup` builds.',
  );
}
