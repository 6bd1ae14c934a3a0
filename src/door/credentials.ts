import type { OutgoingHttpHeaders } from 'node:http';
import { CoatcheckError } from '../errors.ts';
import type { EgressRule, InspectRule } from '../policy/egress.ts';

/** What the door adds to requests under a rule. */
export interface Credential {
  readonly header: string;
  readonly value: string;
}

/** Headers that frame a message or name its goal: a credential in one of them would change what is asked. */
const NOT_FOR_CREDENTIALS = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'trailer',
  'te',
  'upgrade',
  'expect',
  'keep-alive',
]);

/**
 * Checks that each credential has a rule of its own that keeps it inside TLS. Plain http passes on port 80 alone, so a
 * rule with a credential may not have that port.
 * @throws CoatcheckError `credential_misplaced`
 */
export function checkCredentials(rules: readonly EgressRule[], credentials: Readonly<Record<string, Credential>>): void {
  for (const [id, { header, value }] of Object.entries(credentials)) {
    const found = rules.filter((rule) => rule.id === id);
    const misplaced = (what: string, next: string) => new CoatcheckError('credential_misplaced', what, next);
    if (found.length === 0 || found.some((rule) => rule.how !== 'inspect'))
      throw misplaced(`There is a credential for ${id}, which is not a rule that inspects.`, 'Correct the grant’s "how".');
    if (found.some((rule) => rule.how === 'inspect' && rule.ports.includes(80)))
      throw misplaced(
        `The credential of ${id} would leave unencrypted: the rule opens port 80.`,
        'Take port 80 out of the grant, or its credential.',
      );
    if (NOT_FOR_CREDENTIALS.has(header))
      throw misplaced(`The credential of ${id} is to be sent in ${header}.`, 'Name another header in the grant.');
    if (!/^[\x20-\x7e]+$/.test(value) || value.trim() !== value)
      throw misplaced(`The credential of ${id} cannot be sent in a header.`, 'Look for line ends or spaces in its variable.');
  }
}

/** The headers of a request under a rule: with that rule's credential, if it has one and TLS keeps it. */
export function withCredential(
  headers: OutgoingHttpHeaders,
  credentials: Readonly<Record<string, Credential>>,
  rule: InspectRule,
  tls: boolean,
): OutgoingHttpHeaders {
  const credential = credentialOf(credentials, rule);
  return credential === null || !tls ? headers : { ...headers, [credential.header]: credential.value };
}

export const credentialOf = (credentials: Readonly<Record<string, Credential>>, rule: InspectRule): Credential | null =>
  Object.hasOwn(credentials, rule.id) ? (credentials[rule.id] ?? null) : null;

/** Shorter pieces of a credential are words such as `Bearer`, or a user's name. */
const SECRET_LENGTH = 6;

/** What must not come back in an answer's headers: the value, its parts, and what basic authentication holds. */
export function secretsIn({ value }: Credential): readonly string[] {
  const parts = value.split(' ').filter((part) => part.length >= SECRET_LENGTH);
  const [scheme, encoded] = value.split(' ');
  const pair =
    scheme?.toLowerCase() === 'basic' && encoded !== undefined ? Buffer.from(encoded, 'base64').toString('latin1') : '';
  const password = pair.slice(pair.indexOf(':') + 1);
  return [...new Set([value, ...parts, ...(password.length >= SECRET_LENGTH ? [password] : [])])].filter(
    (secret) => secret.toLowerCase() !== 'bearer',
  );
}

/** An answer's headers without those that hold a secret, as it is or encoded for a URL. */
export function withoutEchoes(headers: OutgoingHttpHeaders, secrets: readonly string[]): OutgoingHttpHeaders {
  if (secrets.length === 0) return headers;
  const forms = secrets.flatMap((secret) => [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64')]);
  const echoes = (text: string) => forms.some((form) => text.includes(form));
  return Object.fromEntries(
    Object.entries(headers).filter(([name, value]) => !echoes(name) && !echoes([value].flat().join('\n'))),
  );
}
