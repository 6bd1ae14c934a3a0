import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import * as x509 from '@peculiar/x509';

const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** A task lasts hours at most; clocks in the sandbox are the host's. */
const VALID_MS = 3 * 86_400_000;
/** Wildcard rules let a sandbox ask for any number of names. */
const KEPT_CONTEXTS = 200;

/** One task's certificate authority; its key is made here and stays in this process. */
export interface TaskAuthority {
  /** PEM. */
  readonly certificate: string;
  /** The TLS identity for a host (canonical form), made on first use. */
  contextFor(host: string): Promise<SecureContext>;
}

export async function createTaskAuthority(now: number = Date.now()): Promise<TaskAuthority> {
  const crypto = webcrypto;
  x509.cryptoProvider.set(crypto);
  const keys = await crypto.subtle.generateKey(EC, true, ['sign', 'verify']);
  const validity = { notBefore: new Date(now - 3_600_000), notAfter: new Date(now + VALID_MS) };
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity,
    serialNumber: serial(),
    name: 'CN=coatcheck task authority',
    keys,
    signingAlgorithm: EC,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const leafKeys = await crypto.subtle.generateKey(EC, true, ['sign', 'verify']);
  const leafKey = x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', leafKeys.privateKey), 'PRIVATE KEY');

  async function make(host: string): Promise<SecureContext> {
    const leaf = await x509.X509CertificateGenerator.create({
      ...validity,
      serialNumber: serial(),
      // A common name is at most 64 characters; what is checked is the alternative name.
      subject: 'CN=coatcheck door',
      issuer: authority.subject,
      publicKey: leafKeys.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: EC,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension([{ type: isIP(host) ? 'ip' : 'dns', value: host }]),
        await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return createSecureContext({ key: leafKey, cert: leaf.toString('pem'), minVersion: 'TLSv1.2' });
  }

  const contexts = new Map<string, Promise<SecureContext>>();
  return {
    certificate: `${authority.toString('pem').trim()}\n`,
    contextFor(host) {
      const known = contexts.get(host);
      if (known !== undefined) return known;
      if (contexts.size >= KEPT_CONTEXTS) contexts.clear();
      const made = make(host);
      contexts.set(host, made);
      return made;
    },
  };
}

/** Positive, as RFC 5280 wants it. */
const serial = (): string => `01${randomBytes(15).toString('hex')}`;
