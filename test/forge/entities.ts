/** What the forge keeps, as plain records; the git side of a repository lives in its bare repository on disk. */
import type { KeyObject } from 'node:crypto';

export type Level = 'read' | 'write' | 'admin';
export type Permissions = Readonly<Record<string, Level>>;
/** The five repository roles of GitHub. */
export type Role = 'read' | 'triage' | 'write' | 'maintain' | 'admin';

export interface Account {
  readonly id: number;
  readonly login: string;
  readonly type: 'User' | 'Organization' | 'Bot';
  /** A personal access token with everything the user may do; null for bots. */
  readonly token: string | null;
}

export interface App {
  readonly id: number;
  readonly slug: string;
  readonly clientId: string;
  readonly owner: Account;
  readonly bot: Account;
  readonly hookId: number;
  readonly webhookUrl: string | null;
  readonly webhookSecret: string;
  readonly publicKey: KeyObject;
  readonly permissions: Permissions;
  readonly events: readonly string[];
  readonly createdAt: string;
}

export interface Installation {
  readonly id: number;
  readonly app: App;
  readonly account: Account;
  readonly permissions: Permissions;
  /** Null: all repositories of the account. */
  readonly repositoryIds: ReadonlySet<number> | null;
  readonly createdAt: string;
}

export interface InstallationToken {
  readonly id: number;
  readonly token: string;
  readonly installation: Installation;
  readonly permissions: Permissions;
  /** Null: whatever the installation can reach. */
  readonly repositoryIds: ReadonlySet<number> | null;
  readonly createdAt: number;
  readonly expiresAt: number;
  revokedAt: number | null;
}

export interface Repository {
  readonly id: number;
  readonly owner: Account;
  readonly name: string;
  readonly private: boolean;
  readonly defaultBranch: string;
  /** The bare repository. */
  readonly directory: string;
  readonly collaborators: Map<string, Role>;
  /** Some plans have no draft pull requests in private repositories. */
  readonly drafts: boolean;
  readonly createdAt: string;
  nextNumber: number;
}

export interface Label {
  readonly id: number;
  readonly name: string;
}

export interface Moment {
  readonly at: string;
  readonly by: string;
  readonly what: string;
}

export interface PullDetails {
  draft: boolean;
  readonly headRef: string;
  headSha: string;
  baseRef: string;
  readonly baseSha: string;
  mergedAt: string | null;
  mergedBy: Account | null;
  mergeSha: string | null;
}

export interface Issue {
  readonly id: number;
  readonly number: number;
  readonly repository: Repository;
  readonly author: Account;
  readonly via: App | null;
  title: string;
  body: string | null;
  state: 'open' | 'closed';
  labels: Label[];
  assignees: Account[];
  readonly createdAt: string;
  updatedAt: string;
  closedAt: string | null;
  readonly timeline: Moment[];
  /** Set where this issue is a pull request. */
  readonly pull: PullDetails | null;
}

export interface Comment {
  readonly id: number;
  readonly issue: Issue;
  readonly author: Account;
  readonly via: App | null;
  body: string;
  readonly createdAt: string;
  updatedAt: string;
  edits: number;
}

export const REACTIONS = ['+1', '-1', 'laugh', 'confused', 'heart', 'hooray', 'rocket', 'eyes'] as const;
export type ReactionContent = (typeof REACTIONS)[number];

export interface Reaction {
  readonly id: number;
  readonly on: Issue | Comment;
  readonly author: Account;
  readonly content: ReactionContent;
  readonly createdAt: string;
}

export interface CheckOutput {
  readonly title: string | null;
  readonly summary: string | null;
  readonly text: string | null;
}

export interface CheckRun {
  readonly id: number;
  readonly suiteId: number;
  readonly repository: Repository;
  readonly app: App;
  readonly headSha: string;
  name: string;
  status: 'queued' | 'in_progress' | 'completed';
  conclusion: string | null;
  detailsUrl: string | null;
  externalId: string;
  startedAt: string | null;
  completedAt: string | null;
  output: CheckOutput;
}

export interface Delivery {
  readonly id: number;
  readonly guid: string;
  readonly app: App;
  readonly event: string;
  readonly action: string | null;
  readonly installationId: number | null;
  readonly repositoryId: number | null;
  readonly deliveredAt: string;
  readonly redelivery: boolean;
  readonly payload: string;
  headers: Record<string, string>;
  /** `pending` until an answer or its absence is known. */
  status: string;
  statusCode: number;
  durationSeconds: number;
  response: { readonly headers: Record<string, string>; readonly body: string };
}

export type Actor =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'user'; readonly account: Account }
  | { readonly kind: 'app'; readonly app: App }
  | { readonly kind: 'installation'; readonly token: InstallationToken };

/** One request as the log keeps it; tokens are named by their id, never shown. */
export interface LoggedRequest {
  readonly at: string;
  readonly method: string;
  readonly path: string;
  /** The operation as in GitHub's description, `git …`, or null where there is none. */
  readonly operation: string | null;
  readonly actor: string;
  readonly body: unknown;
  /** 0 where the connection was cut instead of answered. */
  status: number;
}
