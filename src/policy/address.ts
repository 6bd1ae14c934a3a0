import ipaddr from 'ipaddr.js';

type Address = ReturnType<typeof ipaddr.parse>;
type Range = ReturnType<typeof ipaddr.parseCIDR>;

/**
 * Addresses that are refused unless a rule opens them: IANA's special-purpose registries (RFC 6890), and the two
 * cloud metadata addresses outside them. The documentation networks are not among them: nothing answers there, or
 * a network's own operator made it answer.
 */
const REFUSED: readonly (readonly [cidr: string, name: string])[] = [
  ['0.0.0.0/8', 'unspecified'],
  ['10.0.0.0/8', 'private'],
  ['100.64.0.0/10', 'shared (carrier-grade NAT)'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.169.254/32', 'cloud metadata'],
  ['169.254.0.0/16', 'link-local'],
  ['172.16.0.0/12', 'private'],
  ['192.0.0.0/24', 'protocol assignments'],
  ['192.168.0.0/16', 'private'],
  ['198.18.0.0/15', 'benchmarking'],
  ['168.63.129.16/32', 'cloud metadata'],
  ['224.0.0.0/4', 'multicast'],
  ['255.255.255.255/32', 'broadcast'],
  ['240.0.0.0/4', 'reserved'],
  ['::/128', 'unspecified'],
  ['::1/128', 'loopback'],
  ['64:ff9b:1::/48', 'local NAT64'],
  ['100::/64', 'discard'],
  ['2001::/32', 'Teredo'],
  ['fd00:ec2::254/128', 'cloud metadata'],
  ['fc00::/7', 'private (unique local)'],
  ['fe80::/10', 'link-local'],
  ['fec0::/10', 'site-local'],
  ['ff00::/8', 'multicast'],
];
const RANGES = REFUSED.map(([cidr, name]) => ({ range: ipaddr.parseCIDR(cidr), name }));

/** IPv6 prefixes that hold an IPv4 address, and the byte at which it starts: mapped, compatible, NAT64, 6to4. */
const EMBEDDING: readonly { readonly range: Range; readonly at: number }[] = [
  { range: ipaddr.parseCIDR('::ffff:0:0/96'), at: 12 },
  { range: ipaddr.parseCIDR('::ffff:0:0:0/96'), at: 12 },
  { range: ipaddr.parseCIDR('::/96'), at: 12 },
  { range: ipaddr.parseCIDR('64:ff9b::/96'), at: 12 },
  { range: ipaddr.parseCIDR('2002::/16'), at: 2 },
];

/**
 * Why an address may not be dialled, or null when it may. `opened` are the CIDR ranges that the rule opens; they are
 * looked up for the address as written and for the IPv4 address inside it.
 */
export function addressProblem(address: string, opened: readonly string[]): string | null {
  if (!ipaddr.isValid(address)) return 'not an address';
  const forms = withEmbedded(ipaddr.parse(address));
  if (opened.some((cidr) => forms.some((form) => within(form, ipaddr.parseCIDR(cidr))))) return null;
  for (const form of forms) {
    const hit = RANGES.find(({ range }) => within(form, range));
    if (hit !== undefined) return hit.name;
  }
  return null;
}

/** What is wrong with a CIDR range in a rule, for a person; null when nothing is. */
export function cidrProblem(cidr: string): string | null {
  return ipaddr.isValidCIDR(cidr) ? null : `"${cidr}" is not a network in CIDR form, for example "10.1.0.0/16"`;
}

function withEmbedded(address: Address): readonly Address[] {
  const bytes = address.toByteArray();
  const inside = EMBEDDING.filter(({ range }) => within(address, range)).map(({ at }) =>
    ipaddr.fromByteArray(bytes.slice(at, at + 4)),
  );
  return [address, ...inside];
}

function within(address: Address, range: Range): boolean {
  return address.kind() === range[0].kind() && address.match(range);
}
