import { z } from 'zod';
import { CoatcheckError } from '../errors.ts';

/** A commit, tree or blob id as git prints it: SHA-1 (40) or SHA-256 (64) in lower-case hex. */
export const ObjectId = z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/);

/** A task's id: 26 characters, time-ordered (a ULID in lower case). Its first-8 form never appears alone: see `shortId`. */
export const TaskId = z.string().regex(/^[0-9a-hjkmnp-tv-z]{26}$/);
export type TaskId = z.infer<typeof TaskId>;

/** The last eight characters of a task id: the random part, short enough for a branch name. */
export const shortId = (id: TaskId): string => id.slice(-8);

export const RepositoryRef = z.strictObject({
  /** GitHub's numeric repository id: stays when a repository is renamed or moved. */
  id: z.int().positive(),
  owner: z.string().min(1),
  name: z.string().min(1),
  private: z.boolean(),
  defaultBranch: z.string().min(1),
});
export type RepositoryRef = z.infer<typeof RepositoryRef>;

export const Actor = z.strictObject({ id: z.int().positive(), login: z.string().min(1) });
export type Actor = z.infer<typeof Actor>;

/** Issue text as the delivery had it; later edits by somebody else do not slip in. */
export const IssueSnapshot = z.strictObject({
  number: z.int().positive(),
  title: z.string(),
  body: z.string(),
  author: Actor,
  /** How many hidden spans (HTML comments, zero-width and bidirectional controls, tag characters …) were taken out. */
  hiddenSpansRemoved: z.int().nonnegative(),
});
export type IssueSnapshot = z.infer<typeof IssueSnapshot>;

export const TaskState = z.enum([
  'queued', // waits for a host
  'running', // a host holds an attempt
  'publishing', // the host has handed its change over; the control plane works on it
  'ready', // end: a pull request, verified
  'draft', // end: a draft pull request with the honest reason
  'held', // end: the change is kept for a person's approval; nothing of it is published
  'no_change', // end: a comment, no pull request
  'refused', // end: policy says no (quarantine, bad configuration)
  'failed', // end
  'timed_out', // end
  'cancelled', // end: stopped by a person
]);
export type TaskState = z.infer<typeof TaskState>;

/** The one table of legal moves between task states; a move that is not here is an error. */
export const TASK_MOVES: { readonly [S in TaskState]: readonly TaskState[] } = {
  queued: ['running', 'refused', 'failed', 'cancelled'],
  running: ['queued', 'publishing', 'no_change', 'refused', 'failed', 'timed_out', 'cancelled'],
  publishing: ['queued', 'ready', 'draft', 'held', 'no_change', 'refused', 'failed', 'cancelled'],
  ready: [],
  draft: [],
  held: [],
  no_change: [],
  refused: [],
  failed: [],
  timed_out: [],
  cancelled: [],
};

/** Whether a task in this state will never move again. */
export const isEnd = (state: TaskState): boolean => TASK_MOVES[state].length === 0;

/** @throws CoatcheckError `illegal_move` when the table does not allow the move. */
export function checkMove(from: TaskState, to: TaskState): void {
  if (TASK_MOVES[from].includes(to)) return;
  throw new CoatcheckError(
    'illegal_move',
    `A task cannot go from ${from} to ${to}.`,
    'This is a defect: report it with the task id.',
  );
}

/** Why a task or attempt ended as it did; the state says how, this says why. */
export const EndReason = z.enum([
  'verified', // ready: every declared command passed, with the base's yardstick too
  'verification_failed', // draft
  'nothing_to_verify', // draft
  'own_yardstick_only', // draft: passes only with its own edits to tests or command definitions
  'unjudged', // draft: a verification run could not be carried out to the end
  'nothing_changed',
  'approval_needed', // held: what the change touches needs a person's approval
  'quarantine', // the change did not pass the checks of the quarantine
  'policy', // configuration unreadable, cap reached before the start, runtime not allowed
  'setup_failed',
  'turn_limit',
  'token_limit',
  'daily_limit',
  'wall_limit',
  'model_refused',
  'model_unavailable',
  'model_nonsense',
  'context_exceeded',
  'repository_unreadable',
  'repository_empty',
  'change_unreadable', // the sandbox did not give its change out
  'out_of_memory',
  'sandbox_died',
  'sandbox_unavailable', // the host cannot give what the policy asks for
  'door_died',
  'host_lost', // the host stopped reporting
  'publish_failed',
  'stopped',
  'internal',
]);
export type EndReason = z.infer<typeof EndReason>;

/** Reasons after which another attempt may succeed where this one did not. */
export const RETRIED: ReadonlySet<EndReason> = new Set(['host_lost', 'sandbox_died', 'door_died', 'out_of_memory']);

export const Task = z.strictObject({
  id: TaskId,
  installation: z.int().positive(),
  repository: RepositoryRef,
  actor: Actor,
  issue: IssueSnapshot,
  base: z.strictObject({ ref: z.string().min(1), sha: ObjectId }),
  branch: z.string().min(1),
  state: TaskState,
  reason: EndReason.nullable(),
  /** One line for a person about the present state; shown in the comment and on the page. */
  message: z.string(),
  createdAt: z.iso.datetime(),
  endedAt: z.iso.datetime().nullable(),
});
export type Task = z.infer<typeof Task>;
