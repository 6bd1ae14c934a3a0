import type Docker from 'dockerode';
import { CoatcheckError } from '../errors.ts';
import { RELAY } from './container-options.ts';
import type { Engine } from './engine.ts';
import { runOwn } from './exec-channel.ts';

const FOLDER = '/run/trust';
const BUNDLE = `${FOLDER}/authorities.pem`;
const JAVA_STORE = `${FOLDER}/java`;
/** Usually 0.1 s; a Java virtual machine takes a second or two more for each authority. */
const WRITE_MS = 60_000;

// Java reads no PEM and knows no variable for it: where the image has a JDK, the authorities go into a copy of its store.
// The password is the one that every JDK's own store has; it protects nothing, and nothing here is secret.
const WRITE = `set -e; umask 022; mkdir -p ${FOLDER}; cd ${FOLDER}; cat > task.pem
cat /etc/ssl/certs/ca-certificates.crt task.pem > new.pem; mv new.pem ${BUNDLE}
keytool=$(command -v keytool) || exit 0
home=$(dirname "$(dirname "$(readlink -f "$keytool")")")
for store in "$home/lib/security/cacerts" "$home/jre/lib/security/cacerts"; do
  if test -e "$store"; then cat "$store" > java.new; break; fi
done
awk '/BEGIN CERTIFICATE/ { n++ } n { print > ("java." n ".pem") }' task.pem
for one in java.*.pem; do
  keytool -J-XX:TieredStopAtLevel=1 -J-XX:-UsePerfData -importcert -noprompt -trustcacerts -alias "coatcheck-$one" -file "$one" \\
    -keystore java.new -storepass changeit >/dev/null 2>&1
done
rm java.*.pem; mv java.new ${JAVA_STORE}; printf 'java %s' "$JAVA_TOOL_OPTIONS"`;

/** How programs are told of the bundle; each name is read by OpenSSL, Go, Rust, Node, git, curl, requests, pip, npm or cargo. */
const TRUST_ENVIRONMENT: Readonly<Record<string, string>> = Object.fromEntries(
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

/** Java does not read HTTPS_PROXY either. https://docs.oracle.com/en/java/javase/17/core/java-networking.html ("Proxies") */
const JAVA_OPTIONS = [
  `-Djavax.net.ssl.trustStore=${JAVA_STORE}`,
  '-Djavax.net.ssl.trustStorePassword=changeit',
  ...['http', 'https'].flatMap((scheme) => [`-D${scheme}.proxyHost=127.0.0.1`, `-D${scheme}.proxyPort=3128`]),
  '-Dhttp.nonProxyHosts=localhost|127.*|[::1]',
].join(' ');

/**
 * Writes the image's authorities and these (PEM) where the agent's user can read but not change them, for Java too where
 * the image has its `keytool`.
 * @returns what every later command's environment needs
 * @throws CoatcheckError `trust_failed`
 */
export async function writeTrust(
  engine: Engine,
  container: Docker.Container,
  authority: string,
  mark: string,
): Promise<Readonly<Record<string, string>>> {
  const stdin = `${authority.trim()}\n`;
  const done = await runOwn(engine, container, { user: RELAY, script: WRITE, mark, stdin, ms: WRITE_MS });
  if (done?.code === 0) {
    const [, own] = /^java (.*)$/s.exec(done.stdout) ?? [];
    return own === undefined ? TRUST_ENVIRONMENT : { ...TRUST_ENVIRONMENT, JAVA_TOOL_OPTIONS: `${own} ${JAVA_OPTIONS}`.trim() };
  }
  throw new CoatcheckError(
    'trust_failed',
    'The certificate authority could not be written into the sandbox.',
    'The runner image needs /etc/ssl/certs/ca-certificates.crt, and with a JDK its keytool has to work; derive images from ' +
      'the one that `npm run setup` builds.',
  );
}
