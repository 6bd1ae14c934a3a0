import { SHORTEST_KNOWN } from '../audit/redact.ts';
import type { Config } from '../config.ts';
import type { RuleSecret } from '../control/credentials.ts';
import { CoatcheckError } from '../errors.ts';
import type { InspectRule, RuleCredential } from '../policy/egress.ts';
import type { OperatorConfig } from '../policy/operator-config.ts';

/** What stands in a header and is neither a line's end nor another character that parsers differ on. */
const PRINTABLE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

/** The credentials of the policy's grants, by their ids, and every spelling of them that no record may hold. */
export interface RuleSecrets {
  readonly byRule: ReadonlyMap<string, RuleSecret>;
  readonly secrets: readonly string[];
}

/**
 * The credentials of the policy's grants with their values from the environment.
 * @throws CoatcheckError `rule_secret_missing` or `rule_secret_invalid` naming the variable and never its value: better at
 *   the start than in a task.
 */
export function readRuleSecrets(operator: OperatorConfig, config: Pick<Config, 'secret' | 'policyFile'>): RuleSecrets {
  const byRule = new Map<string, RuleSecret>();
  const secrets: string[] = [];
  for (const rule of operator.egress.grants) {
    if (rule.how !== 'inspect' || rule.credential === undefined) continue;
    const { env, header } = rule.credential;
    const secret = secretOf(rule, env, config);
    const value = headerValue(rule.credential, secret);
    byRule.set(rule.id, { env, host: rule.host, header, value });
    // With a user before it the secret has another base64 than by itself.
    secrets.push(secret, value.replace(/^\w+ /, ''));
  }
  return { byRule, secrets };
}

function secretOf({ id }: InspectRule, env: string, { secret, policyFile }: Pick<Config, 'secret' | 'policyFile'>): string {
  const value = secret(env);
  if (value === null) {
    throw new CoatcheckError(
      'rule_secret_missing',
      `The policy's grant “${id}” takes its credential from ${env}, which is not set.`,
      `Set ${env}, or take the grant out of ${policyFile}.`,
    );
  }
  if (PRINTABLE.test(value) && value.length >= SHORTEST_KNOWN) return value;
  throw new CoatcheckError(
    'rule_secret_invalid',
    `The credential of the policy's grant “${id}” cannot be used: ${env} is shorter than ${SHORTEST_KNOWN} characters, or holds others than printable ASCII.`,
    `Set ${env} to the bare secret, without a line's end.`,
  );
}

function headerValue({ scheme, user }: RuleCredential, secret: string): string {
  if (scheme === 'bearer') return `Bearer ${secret}`;
  if (scheme === 'plain') return secret;
  return `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`;
}
