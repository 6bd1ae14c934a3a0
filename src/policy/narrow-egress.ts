import type { EgressRule } from './egress.ts';
import { sharedPort } from './grants.ts';
import { type Level, type Names, narrowNames } from './levels.ts';
import type { OperatorConfig } from './operator-config.ts';

/** What may be reached: presets by name, and the grants that were asked for. */
export interface NarrowedEgress {
  readonly presets: readonly string[];
  readonly grants: readonly EgressRule[];
}

/**
 * The operator's default presets, or in their place what the organisation names, or in place of that what the repository
 * names, each of them no more than the level above. An expired grant, and two services on one port, are problems.
 */
export function narrowEgress(
  operator: OperatorConfig['egress'],
  levels: readonly Level[],
  now: number,
  problems: string[],
): NarrowedEgress {
  const { presets, on_request, grants } = operator;
  const allowed = [...new Set([...presets, ...on_request, ...grants.map((grant) => grant.id)])];
  let names: Names = { allowed, by: 'the operator', askedBy: null };
  for (const { name, asks } of levels) names = narrowNames('egress', names, name, asks.egress, problems);
  if (names.askedBy === null) return { presets: [...new Set(presets)], grants: [] };
  const asked = grants.filter((grant) => names.allowed.includes(grant.id));
  for (const { id, expires } of asked) {
    if (expires === undefined || now < Date.parse(expires)) continue;
    problems.push(`egress: ${names.askedBy} asks for "${id}", which expired on ${expires}; ask the operator.`);
  }
  const clash = sharedPort(asked);
  if (clash !== null) problems.push(`egress: ${clash}.`);
  const granted = new Set(asked.map(({ id }) => id));
  return { presets: names.allowed.filter((name) => !granted.has(name)), grants: asked };
}
