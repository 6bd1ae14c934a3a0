import { FinishRequest } from '../task/protocol.ts';
import type { Row } from './schema.ts';
import type { Unit } from './store.ts';
import { type Move, moveTask, newAttempt } from './tasks.ts';

export interface Attempt {
  readonly task: string;
  readonly number: number;
  readonly state: Row<'attempts'>['state'];
  readonly host: string | null;
  readonly startedAt: string | null;
  readonly hostSeq: number;
  readonly bundle: string | null;
  readonly finish: FinishRequest | null;
  readonly sealedAt: string | null;
}

const attempt = (row: Row<'attempts'>): Attempt => ({
  task: row.task,
  number: row.number,
  state: row.state,
  host: row.host,
  startedAt: row.started_at,
  hostSeq: row.host_seq,
  bundle: row.bundle,
  finish: row.finish_json === null ? null : FinishRequest.parse(JSON.parse(row.finish_json)),
  sealedAt: row.sealed_at,
});

export const attempts = (unit: Unit) => ({
  get: (task: string, number: number): Promise<Attempt | null> =>
    unit(async (db) => {
      const row = await db
        .selectFrom('attempts')
        .selectAll()
        .where('task', '=', task)
        .where('number', '=', number)
        .executeTakeFirst();
      return row === undefined ? null : attempt(row);
    }),

  latest: (task: string): Promise<Attempt | null> =>
    unit(async (db) => {
      const row = await db
        .selectFrom('attempts')
        .selectAll()
        .where('task', '=', task)
        .orderBy('number', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row === undefined ? null : attempt(row);
    }),

  inState: (...states: Attempt['state'][]): Promise<Attempt[]> =>
    unit(async (db) => (await db.selectFrom('attempts').selectAll().where('state', 'in', states).execute()).map(attempt)),

  unsealed: (): Promise<Attempt[]> =>
    unit(async (db) =>
      (await db.selectFrom('attempts').selectAll().where('state', '=', 'ended').where('sealed_at', 'is', null).execute()).map(
        attempt,
      ),
    ),

  /** Gives a queued attempt to a host and sets its task running; false when it is not queued any more. */
  claim: (task: string, number: number, host: string, tokenDigest: string): Promise<boolean> =>
    unit(async (db) => {
      const result = await db
        .updateTable('attempts')
        .set({ state: 'running', host, token_digest: tokenDigest, started_at: new Date().toISOString() })
        .where('task', '=', task)
        .where('number', '=', number)
        .where('state', '=', 'queued')
        .executeTakeFirst();
      if (Number(result.numUpdatedRows) !== 1) return false;
      await moveTask(db, task, { to: 'running', message: 'A host has taken the task.' });
      return true;
    }),

  /** The running attempt that this fencing token stands for, or null: the token is unknown, replaced or void. */
  byToken: (tokenDigest: string): Promise<Attempt | null> =>
    unit(async (db) => {
      const row = await db
        .selectFrom('attempts')
        .selectAll()
        .where('token_digest', '=', tokenDigest)
        .where('state', '=', 'running')
        .executeTakeFirst();
      return row === undefined ? null : attempt(row);
    }),

  keepBundle: (task: string, number: number, bundle: string): Promise<void> =>
    unit(async (db) => {
      await db.updateTable('attempts').set({ bundle }).where('task', '=', task).where('number', '=', number).execute();
    }),

  /** The host has handed over and holds nothing more; its token is void from here on. */
  handOver: (task: string, number: number, finish: FinishRequest): Promise<boolean> =>
    unit(async (db) => {
      const result = await db
        .updateTable('attempts')
        .set({ state: 'handed_over', finish_json: JSON.stringify(finish) })
        .where('task', '=', task)
        .where('number', '=', number)
        .where('state', '=', 'running')
        .executeTakeFirst();
      return Number(result.numUpdatedRows) === 1;
    }),

  /** Ends an attempt: its task goes back to the queue with another attempt, or moves to its end, in the same breath. */
  end: (task: string, number: number, end: { readonly again: string } | { readonly move: Move }): Promise<void> =>
    unit(async (db) => {
      const ended = await db
        .updateTable('attempts')
        .set({ state: 'ended', bundle: null })
        .where('task', '=', task)
        .where('number', '=', number)
        .where('state', '!=', 'ended')
        .executeTakeFirst();
      if (Number(ended.numUpdatedRows) !== 1) return;
      if ('move' in end) {
        await moveTask(db, task, end.move);
        return;
      }
      await db
        .insertInto('attempts')
        .values(newAttempt(task, number + 1))
        .execute();
      await moveTask(db, task, { to: 'queued', message: end.again });
    }),

  /** Takes a running attempt from its host, whose token is void from here on; false when it does not run any more. */
  takeBack: (task: string, number: number): Promise<boolean> =>
    unit(async (db) => {
      const result = await db
        .updateTable('attempts')
        .set({ state: 'handed_over' })
        .where('task', '=', task)
        .where('number', '=', number)
        .where('state', '=', 'running')
        .executeTakeFirst();
      return Number(result.numUpdatedRows) === 1;
    }),

  sealed: (task: string, number: number): Promise<void> =>
    unit(async (db) => {
      await db
        .updateTable('attempts')
        .set({ sealed_at: new Date().toISOString() })
        .where('task', '=', task)
        .where('number', '=', number)
        .execute();
    }),
});
