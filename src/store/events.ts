import type { Unit } from './store.ts';

/** An event as the record has it: the canonical line, and where it stands in the chain. */
export interface StoredEvent {
  readonly seq: number;
  readonly line: string;
}

export const events = (unit: Unit) => ({
  /** Appends to the chain of one attempt; `hostSeq` is moved in the same breath, so a repeated report adds nothing. */
  append: (task: string, attempt: number, added: readonly StoredEvent[], hostSeq: number | null): Promise<void> =>
    unit(async (db) => {
      if (added.length > 0) {
        await db
          .insertInto('events')
          .values(added.map((event) => ({ task, attempt, ...event })))
          .execute();
      }
      if (hostSeq === null) return;
      await db
        .updateTable('attempts')
        .set({ host_seq: hostSeq })
        .where('task', '=', task)
        .where('number', '=', attempt)
        .execute();
    }),

  /** The chain from `from` on, in order. */
  list: (task: string, attempt: number, from = 0): Promise<StoredEvent[]> =>
    unit((db) =>
      db
        .selectFrom('events')
        .select(['seq', 'line'])
        .where('task', '=', task)
        .where('attempt', '=', attempt)
        .where('seq', '>=', from)
        .orderBy('seq')
        .execute(),
    ),

  last: (task: string, attempt: number): Promise<StoredEvent | null> =>
    unit(async (db) => {
      const row = await db
        .selectFrom('events')
        .select(['seq', 'line'])
        .where('task', '=', task)
        .where('attempt', '=', attempt)
        .orderBy('seq', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row ?? null;
    }),
});
