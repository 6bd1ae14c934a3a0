import { lookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { addressProblem } from '../policy/address.ts';
import type { InspectRule, ServiceRule, TunnelRule } from '../policy/egress.ts';
import { Refusal } from './refusal.ts';

/** A rule under which something is dialled. */
export type DialRule = InspectRule | TunnelRule | ServiceRule;

type Hosts = Readonly<Record<string, string>>;
interface Resolved {
  readonly address: string;
  readonly family: number;
}

/**
 * A lookup for one rule: asks once, checks every answer, and gives the checked addresses to the dialler itself, so
 * that no second answer can slip in between. One refused address among several refuses them all.
 */
export function checkedLookup(rule: DialRule, hosts: Hosts): LookupFunction {
  return (name, options, callback) => {
    // Where there is a problem, Node gives no addresses at all, whatever its types say.
    const answer = (problem: Error | null, found: readonly Resolved[] = []) => {
      const error = problem === null ? firstRefusal(name, found, rule) : unresolved(name, problem);
      const first = found[0];
      if (error !== null || first === undefined) callback(error ?? new Refusal(502, `${name} has no address`), '', 0);
      else if (options.all === true) callback(null, [...found]);
      else callback(null, first.address, first.family);
    };
    const fixed = Object.hasOwn(hosts, name) ? hosts[name] : undefined;
    if (fixed !== undefined) answer(null, [{ address: fixed, family: isIP(fixed) }]);
    else lookup(name, { all: true, verbatim: true }, answer);
  };
}

/** Node dials an address without a lookup, so a host that is one is checked before. @throws Refusal 403 */
export function checkLiteral(host: string, rule: DialRule): void {
  if (isIP(host) === 0) return;
  const refusal = firstRefusal(host, [{ address: host, family: isIP(host) }], rule);
  if (refusal !== null) throw refusal;
}

function firstRefusal(name: string, found: readonly Resolved[], rule: DialRule): Refusal | null {
  for (const { address } of found) {
    const problem = addressProblem(address, rule.privateAddresses);
    if (problem !== null)
      return new Refusal(403, `${name} is at ${address}, which is ${problem} and not opened by rule ${rule.id}`, {
        address,
        rule: rule.id,
        text: notOpenedText(name, address, problem, rule.id),
      });
  }
  return null;
}

/** What is missing is not a rule but a line in one. */
const notOpenedText = (name: string, address: string, problem: string, rule: string): string =>
  [
    `coatcheck refused to connect to ${name}: it is at ${address}, which is ${problem}, and rule ${rule} does not open that.`,
    `The operator can allow it by adding this line to the grant ${rule} in the policy file:`,
    '',
    `privateAddresses: ["${address}/${isIP(address) === 6 ? 128 : 32}"]`,
    '',
  ].join('\n');

const unresolved = (name: string, problem: Error): Refusal =>
  new Refusal(502, `${name} could not be resolved (${problem.message})`);
