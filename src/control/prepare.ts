import { CoatcheckError } from '../errors.ts';
import type { GitHub } from '../github/github.ts';
import { type EffectivePolicy, effectivePolicy } from '../policy/effective-policy.ts';
import type { EgressRule } from '../policy/egress.ts';
import { foreignRepositories } from '../policy/grants.ts';
import type { OperatorConfig } from '../policy/operator-config.ts';
import { ORGANISATION_REPOSITORY, parseOrganisationConfig } from '../policy/organisation-config.ts';
import { type Preset, presetRules } from '../policy/presets.ts';
import { parseRepositoryConfig, REPOSITORY_CONFIG } from '../policy/repository-config.ts';
import { RULE_FILES, type RuleFile, readRuleFile } from '../policy/rule-file.ts';
import type { Task } from '../task/task.ts';
import type { WorkOrder } from '../task/work-order.ts';
import { type BaseFile, type BlobReader, readBaseFile } from './base-file.ts';
import type { OrganisationFile } from './organisation.ts';

export interface Prepared {
  readonly work: WorkOrder;
  readonly policy: EffectivePolicy;
  readonly ruleFile: BaseFile | null;
  readonly configuration: BaseFile | null;
  readonly organisation: OrganisationFile | null;
  /** The lock file that a preset's paths were made from. */
  readonly lockFile: BaseFile | null;
  /** Lines of the commands section that are not run, as a person reads them. */
  readonly notRecognised: readonly string[];
}

/** What a task's policy is made from. */
export interface PrepareParts {
  readonly github: GitHub;
  readonly operator: OperatorConfig;
  /** Every preset that the operator's policy names. */
  readonly presets: ReadonlyMap<string, Preset>;
  readonly organisationOf: (task: Task) => Promise<OrganisationFile | null>;
  /** Where GitHub is, as programs inside know it. */
  readonly githubUrls: WorkOrder['github'];
}

async function readRules(reader: BlobReader, base: Task['base']): Promise<BaseFile | null> {
  for (const name of RULE_FILES) {
    const file = await readBaseFile(reader, base, name);
    if (file !== null) return file;
  }
  return null;
}

/** In the organisation's own repository the file of this name is the organisation's, and the repository has none. */
async function readConfiguration(reader: BlobReader, task: Task): Promise<BaseFile | null> {
  if (task.repository.name.toLowerCase() === ORGANISATION_REPOSITORY) return null;
  return readBaseFile(reader, task.base, REPOSITORY_CONFIG);
}

/**
 * Reads the rules of organisation and repository, the latter from the base tree at its pinned commit, as git blobs, and
 * says what a host has to do.
 * @throws CoatcheckError `configuration_invalid` or `policy_widened` with everything a person needs to correct it.
 */
export async function prepare(task: Task, parts: PrepareParts): Promise<Prepared> {
  const installation = parts.github.installation(task.installation);
  const reader: BlobReader = {
    findEntry: (sha, path) => installation.findEntry(task.repository, sha, path),
    readBlob: (sha, limit) => installation.readBlob(task.repository, sha, limit),
  };
  const organisation = await parts.organisationOf(task);
  const configuration = await readConfiguration(reader, task);
  const ruleFile = await readRules(reader, task.base);
  const rules: RuleFile | null = ruleFile && readRuleFile(ruleFile.path, ruleFile.text);
  const policy = effectivePolicy({
    operator: parts.operator,
    organisation: organisation && parseOrganisationConfig(organisation.text, `${organisation.repository}/${organisation.path}`),
    repository: configuration && parseRepositoryConfig(configuration.text),
    ruleFile: rules,
    now: Date.now(),
  });
  const { egress, lockFile } = await resolveEgress(task, policy, parts, reader);
  const work: WorkOrder = {
    task: task.id,
    attempt: 1,
    repository: task.repository,
    base: task.base,
    issue: task.issue,
    ruleFile,
    commands: [...policy.commands],
    yardstick: { tests: [...policy.yardstick.tests], definitions: [...policy.yardstick.definitions] },
    protectedPaths: [...policy.protectedPaths],
    model: { name: policy.model.name, dialect: policy.model.dialect },
    image: policy.image,
    runtime: policy.runtime,
    capabilities: [...policy.capabilities],
    github: parts.githubUrls,
    quarantine: policy.quarantine,
    egress,
    limits: policy.limits,
  };
  const notRecognised = (rules?.notRecognised ?? []).map((line) => `${ruleFile?.path}:${line.line}: ${line.text} (${line.why})`);
  return { work, policy, ruleFile, configuration, organisation, lockFile, notRecognised };
}

/** The rules behind the names of the policy, those of the base's lock file among them. */
async function resolveEgress(
  task: Task,
  policy: EffectivePolicy,
  parts: PrepareParts,
  reader: BlobReader,
): Promise<{ egress: EgressRule[]; lockFile: BaseFile | null }> {
  const foreign = foreignRepositories(policy.egress.grants, task.repository.owner);
  if (foreign.length > 0)
    throw new CoatcheckError(
      'policy_widened',
      foreign.join('\n'),
      'Take the grant out of egress, or have the operator correct it.',
    );
  const presets = policy.egress.presets.flatMap((name) => parts.presets.get(name) ?? []);
  const locked = presets.find(({ modulesOf }) => modulesOf !== null)?.modulesOf ?? null;
  const lockFile = locked === null ? null : await readBaseFile(reader, task.base, locked);
  const opened = presets.flatMap((preset) => presetRules(preset, lockFile?.text ?? null));
  return { egress: [...opened, ...policy.egress.grants], lockFile };
}
