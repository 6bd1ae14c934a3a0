import { z } from 'zod';
import { EgressRule } from './egress.ts';

/** Names under which the ledger shows what is no grant. */
const RESERVED = /^preset:|^(?:git|model|snapshot)$/;

/**
 * The operator's grants: named permissions that a repository may ask for. On top of what every rule has to be:
 * an id stands once and is none of ours, what opens private addresses has an end, and a secret goes to one exact host.
 */
export const Grants = z.array(EgressRule).superRefine((grants, context) => {
  const problem = (index: number, key: string, message: string) =>
    context.addIssue({ code: 'custom', path: [index, key], message });
  for (const [index, grant] of grants.entries()) {
    if (RESERVED.test(grant.id)) problem(index, 'id', 'is a name of our own; choose another');
    if (grants.findIndex(({ id }) => id === grant.id) < index) problem(index, 'id', 'is the id of another grant too');
    if ('privateAddresses' in grant && grant.privateAddresses.length > 0 && grant.expires === undefined) {
      problem(index, 'privateAddresses', 'opens private addresses and so must have an end: add expires: "2027-01-31T00:00:00Z"');
    }
    if (!('credential' in grant) || grant.credential === undefined) continue;
    if (grant.host.startsWith('*')) problem(index, 'host', 'must be one exact host, because a credential goes there');
    if (grant.ports.includes(80))
      problem(index, 'ports', 'must be without 80, because a credential goes there and 80 is not encrypted');
  }
});

/** Two services that want the same port inside; null when each has its own. */
export function sharedPort(rules: readonly EgressRule[]): string | null {
  const taken = new Map<number, string>();
  for (const rule of rules) {
    if (rule.how !== 'service') continue;
    const other = taken.get(rule.listen);
    if (other !== undefined) return `the grants "${other}" and "${rule.id}" both listen on port ${rule.listen} inside`;
    taken.set(rule.listen, rule.id);
  }
  return null;
}

/** Grants of repositories that belong to another account than the task's: its installation cannot read them. */
export function foreignRepositories(rules: readonly EgressRule[], owner: string): string[] {
  return rules.flatMap((rule) => {
    if (rule.how !== 'repository' || rule.repository.split('/')[0]?.toLowerCase() === owner.toLowerCase()) return [];
    return [`egress: the grant "${rule.id}" opens ${rule.repository}, but this task's installation is of ${owner} alone.`];
  });
}

/** Somewhere to connect to. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

/** Where a URL goes. */
export function placeOf(url: string): Place {
  const { protocol, hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port) };
}

/**
 * Why a grant would never apply, where one of these places is named by it: the door answers there by itself. A wildcard
 * has other hosts too, and is let be.
 */
export function neverReached(rule: EgressRule, answered: readonly Place[]): string | null {
  if (rule.how === 'repository') return null;
  const ports = rule.how === 'service' ? [rule.port] : rule.ports;
  const place = answered.find(({ host, port }) => rule.host === host && ports.includes(port));
  if (place === undefined) return null;
  const { host, port } = place;
  return `is GitHub itself, and on port ${port} the door answers for ${host}, so this grant would never apply: a task reads its own repository and issue without one; for another repository write {how: repository, id: NAME, repository: OWNER/NAME}`;
}
