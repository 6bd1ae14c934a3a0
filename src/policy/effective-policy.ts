import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { CoatcheckError } from '../errors.ts';
import type { DeclaredCommand } from '../task/verification.ts';
import { CAPABILITIES, type Capability } from './capabilities.ts';
import { type Level, levelsOf, type Names, narrowNames } from './levels.ts';
import { TaskLimits } from './limits.ts';
import { LIMIT_NAMES, type LimitsFile, narrowPlace, statedLimits } from './limits-file.ts';
import { type NarrowedEgress, narrowEgress } from './narrow-egress.ts';
import type { ModelEntry, OperatorConfig } from './operator-config.ts';
import type { OrganisationConfig } from './organisation-config.ts';
import { protectedPaths } from './protected.ts';

import { narrowQuarantine, type QuarantineOrder, quarantineOf } from './quarantine-config.ts';
import type { ReadRepositoryConfig } from './repository-config.ts';
import type { RuleFile } from './rule-file.ts';
import { DEFAULT_YARDSTICK, type Yardstick } from './yardstick.ts';

/** What one task may do: the operator's policy, narrowed by the organisation's and the repository's. Holds no secret. */
export interface EffectivePolicy {
  readonly limits: TaskLimits;
  readonly egress: NarrowedEgress;
  readonly image: string;
  readonly runtime: 'runsc' | 'runc';
  /** What the runtime must give, in the order of the table of capabilities. */
  readonly capabilities: readonly Capability[];
  readonly commands: readonly DeclaredCommand[];
  readonly yardstick: Yardstick;
  readonly protectedPaths: readonly string[];
  readonly quarantine: QuarantineOrder;
  readonly model: ModelEntry;
  /** SHA-256 in hex over the canonical JSON of all the rest. */
  readonly digest: string;
}

/** What a policy is made from. Files may be absent; the rule file's commands count where the repository's file states none. */
export interface PolicySources {
  readonly operator: OperatorConfig;
  readonly organisation: OrganisationConfig | null;
  readonly repository: ReadRepositoryConfig | null;
  readonly ruleFile: RuleFile | null;
  /** Milliseconds since 1970; what has expired by then cannot be asked for. */
  readonly now: number;
}

/** Memory that must stay free beside the disks: they live in memory, and a full one must not kill the sandbox. */
const HEADROOM = 256 * 1024 * 1024;

/**
 * Operator ∩ organisation ∩ repository.
 * @throws CoatcheckError `policy_widened` when a level asks for more than the one above allows, naming both, all at once;
 *   `configuration_invalid` when the limits contradict each other.
 */
export function effectivePolicy(sources: PolicySources): EffectivePolicy {
  const { operator, organisation, repository, ruleFile } = sources;
  const levels = levelsOf(organisation, repository?.config ?? null);
  const problems: string[] = [];
  const limits = narrowLimits(operator.limits, levels, problems);
  const rest = {
    limits,
    egress: narrowEgress(operator.egress, levels, sources.now, problems),
    image: narrowImage(sources, problems),
    runtime: operator.runtime.allow.includes('runsc') ? ('runsc' as const) : ('runc' as const),
    capabilities: joinCapabilities(operator, levels),
    commands: repository?.commands ?? ruleFile?.commands ?? [],
    yardstick: joinYardsticks(DEFAULT_YARDSTICK, operator.yardstick, ...levels.map(({ asks }) => asks.yardstick)),
    protectedPaths: protectedPaths(operator.protect, ...levels.map(({ asks }) => asks.protect)),
    quarantine: stricterQuarantine(operator, levels, problems),
    model: chooseModel(sources, problems),
  };
  if (problems.length > 0) {
    const files = levels.map(({ file }) => file).join(' or ');
    throw new CoatcheckError(
      'policy_widened',
      problems.join('\n'),
      `Ask for less${files === '' ? '' : ` in ${files}`}, or have the operator allow it.`,
    );
  }
  checkMemory(limits);
  return {
    ...rest,
    digest: createHash('sha256')
      .update(canonicalize(rest) ?? '')
      .digest('hex'),
  };
}

function checkMemory({ sandbox: { memoryBytes, workBytes, workIn, tmpBytes } }: TaskLimits): void {
  if ((workIn === 'memory' ? workBytes : 0) + tmpBytes + HEADROOM <= memoryBytes) return;
  throw new CoatcheckError(
    'configuration_invalid',
    'limits: work_disk and tmp_disk are in memory, and together with 256 MiB of headroom they are more than memory.',
    "Lower work_disk or tmp_disk, or raise memory, in the operator's policy file or the repository's.",
  );
}

function narrowLimits(ceilings: LimitsFile, levels: readonly Level[], problems: string[]): TaskLimits {
  const limits = TaskLimits.parse({});
  const setBy = new Map<string, string>();
  for (const { name, value } of statedLimits(ceilings)) LIMIT_NAMES[name](limits).set(value);
  if (ceilings.work_in !== undefined) limits.sandbox.workIn = ceilings.work_in;
  for (const level of levels) {
    const place = narrowPlace(limits, level.asks.limits?.work_in);
    if (place !== null) problems.push(`limits.work_in: ${level.name} ${place}.`);
    for (const { name, value } of statedLimits(level.asks.limits ?? {})) {
      const limit = LIMIT_NAMES[name](limits);
      if (value > limit.get()) {
        const above = setBy.get(name) ?? 'the operator';
        problems.push(`limits.${name}: ${level.name} asks for ${value}, ${above} allows ${limit.get()}.`);
        continue;
      }
      limit.set(value);
      setBy.set(name, level.name);
    }
  }
  return limits;
}

/** The operator's default image stays; what the levels narrow is what may be named in its place. */
function narrowImage({ operator, organisation, repository }: PolicySources, problems: string[]): string {
  const { default: standard, allowed } = operator.images;
  let names: Names = { allowed, by: 'the operator', askedBy: null };
  names = narrowNames('images', names, 'the organisation', organisation?.images, problems);
  const asked = repository?.config.image;
  if (asked === undefined || asked === standard) return standard;
  narrowNames('image', names, 'the repository', [asked], problems);
  return asked;
}

function chooseModel({ operator, organisation, repository }: PolicySources, problems: string[]): ModelEntry {
  let names: Names = { allowed: operator.models.map(({ name }) => name), by: 'the operator', askedBy: null };
  names = narrowNames('models', names, 'the organisation', organisation?.models, problems);
  const asked = repository?.config.model;
  if (asked !== undefined) names = narrowNames('model', names, 'the repository', [asked], problems);
  const [wanted] = names.allowed;
  const chosen = operator.models.find(({ name }) => name === wanted) ?? operator.models[0];
  if (chosen !== undefined) return chosen;
  throw new CoatcheckError(
    'configuration_invalid',
    'models: none is named.',
    "Name at least one model in the operator's policy file.",
  );
}

function stricterQuarantine(operator: OperatorConfig, levels: readonly Level[], problems: string[]): QuarantineOrder {
  let policy = quarantineOf(operator.quarantine);
  for (const { name, asks } of levels) {
    policy = narrowQuarantine(policy, asks.quarantine, (key, asked, present) => {
      problems.push(`quarantine.${key}: ${name} asks for ${asked}, which is less strict than ${present}.`);
    });
  }
  return policy;
}

function joinCapabilities(operator: OperatorConfig, levels: readonly Level[]): Capability[] {
  const asked = new Set([operator.runtime, ...levels.map(({ asks }) => asks.runtime)].flatMap(({ require }) => require));
  return CAPABILITIES.filter((capability) => asked.has(capability));
}

function joinYardsticks(...all: readonly Yardstick[]): Yardstick {
  const join = (part: (yardstick: Yardstick) => readonly string[]): string[] => [...new Set(all.flatMap(part))];
  return { tests: join((one) => one.tests), definitions: join((one) => one.definitions) };
}
