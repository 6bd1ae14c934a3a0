/**
 * Certificate authorities that this machine trusts beyond the public ones (a company's TLS proxy, usually).
 * Without them npm and pip fail inside a fresh image with "self-signed certificate in certificate chain".
 */
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { extraAuthoritiesFile } from './environment.mjs';

/** Where Debian has a machine's own authorities, and the public ones that its ca-certificates package brings. */
const LOCAL = '/usr/local/share/ca-certificates';
const PUBLIC = '/usr/share/ca-certificates';

/** @param {string} text */
const blocks = (text) => text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];

/** @param {string} file */
function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** @param {string} folder */
function certificatesBelow(folder) {
  try {
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.crt'));
    return names.flatMap((name) => blocks(read(join(folder, name))));
  } catch {
    return [];
  }
}

/** @param {string} pem */
const fingerprint = (pem) => new X509Certificate(pem).fingerprint256;

/**
 * Those of `candidates` that are not public ones, each once, in a stable order.
 * @param {readonly string[]} candidates PEM
 * @param {readonly string[]} publicOnes PEM
 */
export function additional(candidates, publicOnes) {
  const known = new Set(publicOnes.map(fingerprint));
  const found = new Map(candidates.map((pem) => [fingerprint(pem), `${pem}\n`]));
  return [...found]
    .filter(([print]) => !known.has(print))
    .sort()
    .map(([, pem]) => pem);
}

/** The machine's additional authorities, PEM, in a stable order. */
export function machineAuthorities() {
  const file = extraAuthoritiesFile();
  const candidates = [...certificatesBelow(LOCAL), ...(file === null ? [] : blocks(read(file)))];
  return candidates.length === 0 ? [] : additional(candidates, [...rootCertificates, ...certificatesBelow(PUBLIC)]);
}
