import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import ipaddr from 'ipaddr.js';
import { getDomain } from 'tldts';

/** The one spelling of a host that is matched, dialled, certified and logged. */
export type CanonicalHost =
  | { readonly ok: true; readonly host: string; readonly kind: 'name' | 'ipv4' | 'ipv6' }
  | { readonly ok: false; readonly reason: string };

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

const refused = (reason: string): CanonicalHost => ({ ok: false, reason });

/**
 * Brings a host to its canonical form: lower case, no trailing dot, IDN as punycode, an IPv4 address in any of the
 * spellings that browsers and libc take (`127.1`, hex, octal, decimal, `::ffff:`) as four decimals, IPv6 shortened.
 * Brackets around IPv6 are taken off. Rules: WHATWG URL, "host parsing"; RFC 5952 for IPv6; RFC 1035 for lengths.
 */
export function canonicalHost(raw: string): CanonicalHost {
  // Characters on which parsers differ are refused rather than interpreted.
  if (/[\p{Cc}\p{Z}/?#@\\%<>^|`{}"]/u.test(raw)) return refused('the host holds a character that no host may hold');
  const bare = raw.startsWith('[') && raw.endsWith(']') ? raw.slice(1, -1) : raw;
  if (isIP(bare) === 6) return canonicalAddress(bare);
  if (bare !== raw || /[:[\]]/.test(raw)) return refused('the host is not a valid address');
  const ascii = domainToASCII(raw.replace(/\.$/, ''));
  if (ascii === '') return refused('the host is neither a valid name nor a valid address');
  if (isIP(ascii) === 4) return { ok: true, host: ascii, kind: 'ipv4' };
  if (ascii.length > 253 || !ascii.split('.').every((label) => LABEL.test(label))) return refused('the host is not a valid name');
  return { ok: true, host: ascii, kind: 'name' };
}

/** The same for what a client sent: it has to be ASCII already, before anything interprets it. */
export function hostOnTheWire(raw: string): CanonicalHost {
  if (/[^\u0021-\u007e]/.test(raw)) return refused('the host holds a byte outside printable ASCII');
  return canonicalHost(raw);
}

function canonicalAddress(address: string): CanonicalHost {
  if (address.includes('%')) return refused('addresses with a zone are not allowed');
  const parsed = ipaddr.process(address);
  return { ok: true, host: parsed.toString(), kind: parsed.kind() };
}

export type Authority =
  | { readonly ok: true; readonly host: string; readonly kind: 'name' | 'ipv4' | 'ipv6'; readonly port: number }
  | { readonly ok: false; readonly reason: string };

/** Reads `host`, `host:port` or `[v6]:port` as a client sends it. */
export function readAuthority(raw: string, defaultPort: number | null): Authority {
  const match = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(raw);
  if (match === null) return { ok: false, reason: 'the authority is not host:port' };
  const host = hostOnTheWire(match[1] ?? '');
  if (!host.ok) return host;
  const port = match[2] === undefined ? defaultPort : Number(match[2]);
  if (port === null || port < 1 || port > 65_535) return { ok: false, reason: 'the port is missing or out of range' };
  return { ...host, port };
}

/**
 * What is wrong with the host of an egress rule, for a person; null when nothing is. A wildcard stands for exactly
 * one label and has to stay below one registrable domain (publicsuffix.org, private section included).
 */
export function hostRuleProblem(pattern: string): string | null {
  const wildcard = pattern.startsWith('*.');
  const base = wildcard ? pattern.slice(2) : pattern;
  if (base.includes('*')) return `"${pattern}" is too broad: "*" may only be the whole first label, as in "*.example.com"`;
  const host = canonicalHost(base);
  if (!host.ok) return `"${pattern}": ${host.reason}`;
  if (host.host !== base) return `"${pattern}" is not in canonical form: write "${wildcard ? '*.' : ''}${host.host}"`;
  if (!wildcard) return null;
  if (host.kind !== 'name') return `"${pattern}": a wildcard cannot stand before an address`;
  if (getDomain(base, { allowPrivateDomains: true, validateHostname: false }) === null)
    return `"${pattern}" is too broad: anybody can register a name below ${base}`;
  return null;
}
