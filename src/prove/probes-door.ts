import type { EgressRule } from '../policy/egress.ts';
import type { DoorProbe } from './door-probe.ts';
import { repositories, secrets } from './probes-credentials.ts';
import { addresses, metadata, nameServices, names } from './probes-hosts.ts';
import { identities } from './probes-identities.ts';
import { phases, registries } from './probes-phases.ts';
import { framing, requests } from './probes-requests.ts';

/** Every probe of the door; `rules` are the operator's own. */
export function doorProbes(rules: readonly EgressRule[]): DoorProbe[] {
  return [
    ...addresses(),
    ...names(),
    ...metadata(),
    ...nameServices(),
    ...requests(),
    ...framing(),
    ...identities(),
    ...phases(),
    ...registries(rules),
    ...secrets(),
    ...repositories(),
  ];
}
