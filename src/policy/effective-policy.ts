import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { CoatcheckError } from '../errors.ts';
import type { DeclaredCommand } from '../task/verification.ts';
import type { EgressRule } from './egress.ts';
import { TaskLimits } from './limits.ts';
import { LIMIT_NAMES, type LimitsFile, statedLimits } from './limits-file.ts';
import type { ModelEntry, OperatorConfig } from './operator-config.ts';
import { protectedPaths } from './protected.ts';
import { REPOSITORY_CONFIG, type ReadRepositoryConfig } from './repository-config.ts';
import type { RuleFile } from './rule-file.ts';
import { DEFAULT_YARDSTICK, type Yardstick } from './yardstick.ts';

/** What one task may do: the operator's policy, narrowed by the repository's. Holds no secret. */
export interface EffectivePolicy {
  readonly limits: TaskLimits;
  readonly egress: { readonly presets: readonly string[]; readonly grants: readonly EgressRule[] };
  readonly image: string;
  readonly runtime: 'runsc' | 'runc';
  readonly commands: readonly DeclaredCommand[];
  readonly yardstick: Yardstick;
  readonly protectedPaths: readonly string[];
  readonly model: ModelEntry;
  /** SHA-256 in hex over the canonical JSON of all the rest. */
  readonly digest: string;
}

/** Memory that must stay free beside the disks: they live in memory, and a full one must not kill the sandbox. */
const HEADROOM = 256 * 1024 * 1024;

/**
 * Operator ∩ repository. The repository's file may be absent, and the rule file's commands count where it states none.
 * @throws CoatcheckError `policy_widened` when the repository asks for more than the operator allows, naming both, all at once;
 *   `configuration_invalid` when the limits contradict each other.
 */
export function effectivePolicy(
  operator: OperatorConfig,
  repository: ReadRepositoryConfig | null,
  ruleFile: RuleFile | null,
): EffectivePolicy {
  const asked = repository?.config;
  const problems: string[] = [];
  const limits = narrowLimits(operator.limits, asked?.limits ?? {}, problems);
  const rest = {
    limits,
    egress: narrowEgress(operator, asked?.egress, problems),
    image: narrowImage(operator, asked?.image, problems),
    runtime: operator.runtime.allow.includes('runsc') ? ('runsc' as const) : ('runc' as const),
    commands: repository?.commands ?? ruleFile?.commands ?? [],
    yardstick: joinYardsticks(DEFAULT_YARDSTICK, operator.yardstick, asked?.yardstick),
    protectedPaths: protectedPaths(operator.protect, asked?.protect ?? []),
    model: chooseModel(operator, asked?.model, problems),
  };
  if (problems.length > 0) {
    throw new CoatcheckError(
      'policy_widened',
      problems.join('\n'),
      `Ask for less in ${REPOSITORY_CONFIG}, or have the operator allow it.`,
    );
  }
  const { memoryBytes, workBytes, tmpBytes } = limits.sandbox;
  if (workBytes + tmpBytes + HEADROOM > memoryBytes) {
    throw new CoatcheckError(
      'configuration_invalid',
      'limits: work_disk and tmp_disk are in memory, and together with 256 MiB of headroom they are more than memory.',
      "Lower work_disk or tmp_disk, or raise memory, in the operator's policy file or the repository's.",
    );
  }
  return {
    ...rest,
    digest: createHash('sha256')
      .update(canonicalize(rest) ?? '')
      .digest('hex'),
  };
}

function narrowLimits(ceilings: LimitsFile, asked: LimitsFile, problems: string[]): TaskLimits {
  const limits = TaskLimits.parse({});
  for (const { name, value } of statedLimits(ceilings)) LIMIT_NAMES[name](limits).set(value);
  for (const { name, value } of statedLimits(asked)) {
    const limit = LIMIT_NAMES[name](limits);
    if (value > limit.get())
      problems.push(`limits.${name}: the repository asks for ${value}, the operator allows ${limit.get()}.`);
    else limit.set(value);
  }
  return limits;
}

function narrowEgress(
  operator: OperatorConfig,
  asked: readonly string[] | undefined,
  problems: string[],
): EffectivePolicy['egress'] {
  const { presets, on_request, grants } = operator.egress;
  if (asked === undefined) return { presets, grants: [] };
  const allowedPresets = new Set([...presets, ...on_request]);
  const allowed = [...allowedPresets, ...grants.map((grant) => grant.id)];
  for (const name of asked) {
    if (!allowed.includes(name))
      problems.push(`egress: the repository asks for "${name}", the operator allows ${list(allowed)}.`);
  }
  return {
    presets: asked.filter((name) => allowedPresets.has(name)),
    grants: grants.filter((grant) => asked.includes(grant.id)),
  };
}

function narrowImage(operator: OperatorConfig, asked: string | undefined, problems: string[]): string {
  if (asked === undefined || asked === operator.images.default) return operator.images.default;
  if (!operator.images.allowed.includes(asked)) {
    problems.push(`image: the repository asks for "${asked}", the operator allows ${list(operator.images.allowed)}.`);
  }
  return asked;
}

function chooseModel(operator: OperatorConfig, asked: string | undefined, problems: string[]): ModelEntry {
  const [first] = operator.models;
  const chosen = asked === undefined ? first : operator.models.find((model) => model.name === asked);
  if (chosen) return chosen;
  problems.push(`model: the repository asks for "${asked}", the operator allows ${list(operator.models.map((m) => m.name))}.`);
  if (!first)
    throw new CoatcheckError(
      'configuration_invalid',
      'models: none is named.',
      "Name at least one model in the operator's policy file.",
    );
  return first;
}

function joinYardsticks(...all: (Yardstick | undefined)[]): Yardstick {
  const join = (part: (yardstick: Yardstick) => readonly string[]): string[] => [
    ...new Set(all.flatMap((one) => (one ? part(one) : []))),
  ];
  return { tests: join((one) => one.tests), definitions: join((one) => one.definitions) };
}

const list = (names: readonly string[]): string => (names.length > 0 ? names.map((name) => `"${name}"`).join(', ') : 'none');
