import type { Unit } from './store.ts';

export const notices = (unit: Unit) => ({
  /** True the first time a key is asked for: whoever gets it says the thing, and nobody says it again. */
  first: (key: string): Promise<boolean> =>
    unit(async (db) => {
      const result = await db
        .insertInto('notices')
        .values({ key, said_at: new Date().toISOString() })
        .onConflict((c) => c.column('key').doNothing())
        .executeTakeFirst();
      return Number(result.numInsertedOrUpdatedRows ?? 0) === 1;
    }),
});
