import type { Transaction } from 'kysely';
import { z } from 'zod';
import { CoatcheckError } from '../errors.ts';
import { checkMove, type EndReason, isEnd, ObjectId, Task, type TaskState } from '../task/task.ts';
import { WorkOrder } from '../task/work-order.ts';
import type { Database, Row } from './schema.ts';
import type { Unit } from './store.ts';

/** What the control plane has made on GitHub for a task, so that it is found again rather than made twice. */
export const Traces = z.strictObject({
  comment: z.strictObject({ id: z.int(), url: z.string() }).nullable().default(null),
  pullRequest: z.strictObject({ number: z.int(), url: z.string(), draft: z.boolean() }).nullable().default(null),
  checkRun: z.strictObject({ id: z.int(), url: z.string() }).nullable().default(null),
  commit: ObjectId.nullable().default(null),
});
export type Traces = z.infer<typeof Traces>;

/** A task with everything the control plane keeps beside it. */
export interface TaskEntry {
  readonly task: Task;
  readonly work: WorkOrder | null;
  readonly traces: Traces;
  readonly stop: { readonly by: string; readonly why: string } | null;
  readonly diff: string | null;
}

const Stop = z.strictObject({ by: z.string(), why: z.string() });

function entry(row: Row<'tasks'>): TaskEntry {
  return {
    task: Task.parse(JSON.parse(row.task_json)),
    work: row.work_json === null ? null : WorkOrder.parse(JSON.parse(row.work_json)),
    traces: Traces.parse(JSON.parse(row.traces_json)),
    stop: row.stop_json === null ? null : Stop.parse(JSON.parse(row.stop_json)),
    diff: row.diff,
  };
}

const openKey = (task: Task) => `${task.repository.id}#${task.issue.number}`;

async function load(db: Transaction<Database>, id: string): Promise<TaskEntry> {
  const row = await db.selectFrom('tasks').selectAll().where('id', '=', id).executeTakeFirst();
  if (row === undefined) throw new CoatcheckError('unknown_task', `There is no task ${id}.`, 'Check the id.');
  return entry(row);
}

export interface Move {
  readonly to: TaskState;
  readonly reason?: EndReason;
  readonly message: string;
}

/** Moves a task inside a transaction that does more; see `tasks.move`. */
export async function moveTask(db: Transaction<Database>, id: string, move: Move): Promise<Task> {
  const { task } = await load(db, id);
  checkMove(task.state, move.to);
  const ended = isEnd(move.to);
  const moved: Task = {
    ...task,
    state: move.to,
    reason: move.reason ?? null,
    message: move.message,
    endedAt: ended ? new Date().toISOString() : null,
  };
  await db
    .updateTable('tasks')
    .set({ task_json: JSON.stringify(Task.parse(moved)), state: moved.state, open_key: ended ? null : openKey(moved) })
    .where('id', '=', id)
    .execute();
  return moved;
}

export const tasks = (unit: Unit) => ({
  /**
   * Keeps a new task with its first attempt.
   * `again`: this very delivery made one already, before a restart. `duplicate`: the issue has an open task.
   */
  create: (task: Task, delivery: string): Promise<{ kind: 'created' } | { kind: 'again' | 'duplicate'; task: Task }> =>
    unit(async (db) => {
      const same = await db
        .selectFrom('tasks')
        .selectAll()
        .where((w) => w.or([w('open_key', '=', openKey(task)), w('delivery', '=', delivery)]))
        .executeTakeFirst();
      if (same !== undefined) {
        return { kind: same.delivery === delivery ? ('again' as const) : ('duplicate' as const), task: entry(same).task };
      }
      await db
        .insertInto('tasks')
        .values({
          id: task.id,
          open_key: openKey(task),
          delivery,
          task_json: JSON.stringify(Task.parse(task)),
          state: task.state,
          installation: task.installation,
          created_at: task.createdAt,
          work_json: null,
          traces_json: '{}',
          stop_json: null,
          diff: null,
        })
        .execute();
      await db.insertInto('attempts').values(newAttempt(task.id, 1)).execute();
      return { kind: 'created' as const };
    }),

  get: (id: string): Promise<TaskEntry> => unit((db) => load(db, id)),

  find: (id: string): Promise<TaskEntry | null> =>
    unit(async (db) => {
      const row = await db.selectFrom('tasks').selectAll().where('id', '=', id).executeTakeFirst();
      return row === undefined ? null : entry(row);
    }),

  openOn: (repository: number, issue: number): Promise<TaskEntry | null> =>
    unit(async (db) => {
      const row = await db.selectFrom('tasks').selectAll().where('open_key', '=', `${repository}#${issue}`).executeTakeFirst();
      return row === undefined ? null : entry(row);
    }),

  newest: (limit: number): Promise<TaskEntry[]> =>
    unit(async (db) =>
      (await db.selectFrom('tasks').selectAll().orderBy('created_at', 'desc').limit(limit).execute()).map(entry),
    ),

  inState: (...states: TaskState[]): Promise<TaskEntry[]> =>
    unit(async (db) =>
      (await db.selectFrom('tasks').selectAll().where('state', 'in', states).orderBy('created_at').execute()).map(entry),
    ),

  /** @throws CoatcheckError `illegal_move` */
  move: (id: string, move: Move): Promise<Task> => unit((db) => moveTask(db, id, move)),

  /** Changes the one line shown about the present state. */
  say: (id: string, message: string): Promise<void> =>
    unit(async (db) => {
      const { task } = await load(db, id);
      await db
        .updateTable('tasks')
        .set({ task_json: JSON.stringify({ ...task, message }) })
        .where('id', '=', id)
        .execute();
    }),

  setWork: (id: string, work: WorkOrder): Promise<void> =>
    unit(async (db) => {
      await db
        .updateTable('tasks')
        .set({ work_json: JSON.stringify(WorkOrder.parse(work)) })
        .where('id', '=', id)
        .execute();
    }),

  trace: (id: string, traces: Partial<Traces>): Promise<Traces> =>
    unit(async (db) => {
      const merged = Traces.parse({ ...(await load(db, id)).traces, ...traces });
      await db
        .updateTable('tasks')
        .set({ traces_json: JSON.stringify(merged) })
        .where('id', '=', id)
        .execute();
      return merged;
    }),

  /** Asks a task to stop; the first asker stays. */
  askToStop: (id: string, stop: { by: string; why: string }): Promise<void> =>
    unit(async (db) => {
      await db
        .updateTable('tasks')
        .set({ stop_json: JSON.stringify(stop) })
        .where('id', '=', id)
        .where('stop_json', 'is', null)
        .execute();
    }),

  keepDiff: (id: string, diff: string): Promise<void> =>
    unit(async (db) => {
      await db.updateTable('tasks').set({ diff }).where('id', '=', id).execute();
    }),
});

/** A row for an attempt that waits for a host. */
export function newAttempt(task: string, number: number): Row<'attempts'> {
  return {
    task,
    number,
    state: 'queued',
    host: null,
    token_digest: null,
    started_at: null,
    host_seq: -1,
    bundle: null,
    finish_json: null,
    sealed_at: null,
  };
}
