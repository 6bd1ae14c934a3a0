/**
 * The fields of GitHub's deliveries that are read, and no others.
 * https://docs.github.com/en/webhooks/webhook-events-and-payloads
 */
import { z } from 'zod';

const User = z.looseObject({ id: z.int().positive(), login: z.string().min(1), type: z.string().optional() });
const App = z.looseObject({ id: z.int() });

const Repository = z.looseObject({
  id: z.int().positive(),
  name: z.string().min(1),
  owner: z.looseObject({ login: z.string().min(1) }),
  private: z.boolean(),
  default_branch: z.string().min(1),
  archived: z.boolean().optional(),
  disabled: z.boolean().optional(),
});
export type Repository = z.infer<typeof Repository>;

const Issue = z.looseObject({
  number: z.int().positive(),
  title: z.string(),
  body: z.string().nullish(),
  state: z.string().optional(),
  user: User.nullish(),
  pull_request: z.unknown().optional(),
});

const Common = {
  installation: z.looseObject({ id: z.int().positive() }),
  repository: Repository,
  sender: User,
};

export const IssueDelivery = z.looseObject({ ...Common, issue: Issue });
export type IssueDelivery = z.infer<typeof IssueDelivery>;

export const CommentDelivery = z.looseObject({
  ...Common,
  issue: Issue,
  comment: z.looseObject({ id: z.int().positive(), body: z.string().nullish() }),
});

/** Just enough to tell whether a delivery concerns us at all; every field may be missing. */
export const Outline = z.looseObject({
  action: z.string().optional().catch(undefined),
  label: z.looseObject({ name: z.string() }).optional().catch(undefined),
  assignee: z.looseObject({ login: z.string() }).optional().catch(undefined),
  sender: z.looseObject({ id: z.int() }).optional().catch(undefined),
  comment: z
    .looseObject({
      body: z.string().nullish().catch(undefined),
      performed_via_github_app: App.nullish().catch(undefined),
    })
    .optional()
    .catch(undefined),
});
export type Outline = z.infer<typeof Outline>;

/** Where a refusal can be said, as far as a delivery tells. */
export const Place = z.looseObject({ ...Common, issue: z.looseObject({ number: z.int().positive() }) });
