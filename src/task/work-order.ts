import { z } from 'zod';
import { Capability } from '../policy/capabilities.ts';
import { EgressRule } from '../policy/egress.ts';
import { TaskLimits } from '../policy/limits.ts';
import { QuarantineOrder } from '../policy/quarantine-config.ts';

import { IssueSnapshot, ObjectId, RepositoryRef, TaskId } from './task.ts';
import { DeclaredCommand } from './verification.ts';

/** The wire dialect that a model endpoint speaks. */
export const ModelDialect = z.enum(['anthropic-messages', 'openai-chat']);
export type ModelDialect = z.infer<typeof ModelDialect>;

/** Everything a host needs to know to run one attempt; it holds no secret. */
export const WorkOrder = z.strictObject({
  task: TaskId,
  attempt: z.int().positive(),
  repository: RepositoryRef,
  base: z.strictObject({ ref: z.string(), sha: ObjectId }),
  issue: IssueSnapshot,
  /** The rule file's text from the base tree, given to the agent fenced as data. */
  ruleFile: z.strictObject({ path: z.string(), blob: ObjectId, text: z.string() }).nullable(),
  commands: z.array(DeclaredCommand),
  /** Globs of files that are put back from the base before a change may be called ready. */
  yardstick: z.strictObject({ tests: z.array(z.string()), definitions: z.array(z.string()) }),
  /** Globs of paths that a change may not touch; enforced by the control plane, told to the agent. */
  protectedPaths: z.array(z.string()),
  model: z.strictObject({ name: z.string(), dialect: ModelDialect }),
  image: z.string().min(1),
  runtime: z.enum(['runsc', 'runc']),
  /** What the policy asks of the runtime; a host that cannot give it refuses. */
  capabilities: z.array(Capability),
  /** Where GitHub is: reads of the task's own repository and issue under these names are answered by the door. */
  github: z.strictObject({ apiUrl: z.url(), webUrl: z.url() }),
  egress: z.array(EgressRule),
  quarantine: QuarantineOrder.prefault({}),
  limits: TaskLimits,
});
export type WorkOrder = z.infer<typeof WorkOrder>;
