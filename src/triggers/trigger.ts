import type { Actor, IssueSnapshot, RepositoryRef } from '../task/task.ts';

/** What the operator configured and GitHub says of the App, as far as reading deliveries needs it. */
export interface TriggerSettings {
  /** The label that asks for work; compared without regard to case, as GitHub does. */
  label: string;
  /** Login of the machine user whose assignment asks for work; null when there is none. An App cannot be an assignee. */
  assignee: string | null;
  appId: number;
  appSlug: string;
  /** Numeric id of the user `SLUG[bot]`. */
  botUserId: number;
}

interface Source {
  installation: number;
  repository: RepositoryRef;
  actor: Actor;
}

export interface TaskTrigger extends Source {
  kind: 'task';
  trigger: 'issues.labeled' | 'issues.assigned';
  issue: IssueSnapshot;
  /** The label as it is written on the issue, to be taken off; absent for an assignment. */
  label?: string;
}

export interface StopTrigger extends Source {
  kind: 'stop';
  /** Number of the issue, or of the pull request when `onPullRequest`. */
  issue: number;
  onPullRequest: boolean;
  commentId: number;
}

/** Somebody asked for work and does not get it. `at` is where to say why, once; null when the delivery names no such place. */
export interface RefusedTrigger {
  kind: 'refused';
  why: string;
  at: (Source & { issue: number }) | null;
}

export type Trigger = TaskTrigger | StopTrigger | RefusedTrigger | { kind: 'ignored'; why: string };
