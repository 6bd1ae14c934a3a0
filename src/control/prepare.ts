import { CoatcheckError } from '../errors.ts';
import type { GitHub, Installation } from '../github/github.ts';
import { type EffectivePolicy, effectivePolicy } from '../policy/effective-policy.ts';
import type { EgressRule } from '../policy/egress.ts';
import type { OperatorConfig } from '../policy/operator-config.ts';
import { QuarantinePolicy } from '../policy/quarantine.ts';
import { parseRepositoryConfig, REPOSITORY_CONFIG } from '../policy/repository-config.ts';
import { RULE_FILES, type RuleFile, readRuleFile } from '../policy/rule-file.ts';
import type { Task } from '../task/task.ts';
import type { WorkOrder } from '../task/work-order.ts';

/** A blob of the base tree as it was read, by the name it has there. */
interface BaseFile {
  readonly path: string;
  readonly blob: string;
  readonly text: string;
}

export interface Prepared {
  readonly work: WorkOrder;
  readonly policy: EffectivePolicy;
  readonly ruleFile: BaseFile | null;
  readonly configuration: BaseFile | null;
  /** Lines of the commands section that are not run, as a person reads them. */
  readonly notRecognised: readonly string[];
}

/** What a task's policy is made from. */
export interface PrepareParts {
  readonly github: GitHub;
  readonly operator: OperatorConfig;
  /** The rules of every preset, by name. */
  readonly presets: ReadonlyMap<string, readonly EgressRule[]>;
  /** Where GitHub is, as programs inside know it. */
  readonly githubUrls: WorkOrder['github'];
}

/** Rule files and configuration are written by people; what is larger is something else. Bytes. */
const FILE_LIMIT = 1024 * 1024;

async function read(reader: Installation, task: Task, path: string): Promise<BaseFile | null> {
  const entry = await reader.findEntry(task.repository, task.base.sha, path);
  if (entry === null) return null;
  // 120000 is a symbolic link: what it points to is not what was reviewed under this name.
  if (entry.type !== 'blob' || entry.mode === '120000') {
    throw new CoatcheckError(
      'configuration_invalid',
      `${path} is not a regular file in ${task.base.ref} (mode ${entry.mode}).`,
      'Replace it with a regular file.',
    );
  }
  if ((entry.size ?? 0) > FILE_LIMIT) {
    throw new CoatcheckError(
      'configuration_invalid',
      `${path} has ${entry.size} bytes in ${task.base.ref}; at most ${FILE_LIMIT} are read.`,
      'Make the file smaller.',
    );
  }
  const bytes = await reader.readBlob(task.repository, entry.sha, FILE_LIMIT);
  return { path, blob: entry.sha, text: bytes.toString('utf8') };
}

async function readRules(reader: Installation, task: Task): Promise<BaseFile | null> {
  for (const name of RULE_FILES) {
    const file = await read(reader, task, name);
    if (file !== null) return file;
  }
  return null;
}

/**
 * Reads the repository's rules from the base tree at its pinned commit, as git blobs, and says what a host has to do.
 * @throws CoatcheckError `configuration_invalid` or `policy_widened` with everything a person needs to correct it.
 */
export async function prepare(task: Task, parts: PrepareParts): Promise<Prepared> {
  const reader = parts.github.installation(task.installation);
  const configuration = await read(reader, task, REPOSITORY_CONFIG);
  const ruleFile = await readRules(reader, task);
  const rules: RuleFile | null = ruleFile && readRuleFile(ruleFile.path, ruleFile.text);
  const policy = effectivePolicy(parts.operator, configuration && parseRepositoryConfig(configuration.text), rules);
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
    capabilities: [],
    github: parts.githubUrls,
    quarantine: QuarantinePolicy.parse({}),
    egress: [...policy.egress.presets.flatMap((name) => parts.presets.get(name) ?? []), ...policy.egress.grants],
    limits: policy.limits,
  };
  const notRecognised = (rules?.notRecognised ?? []).map((line) => `${ruleFile?.path}:${line.line}: ${line.text} (${line.why})`);
  return { work, policy, ruleFile, configuration, notRecognised };
}
