import type { Unit } from './store.ts';

export const notices = (unit: Unit) => ({
  /** Whether a thing was said already. */
  said: (key: string): Promise<boolean> =>
    unit(async (db) => (await db.selectFrom('notices').select('key').where('key', '=', key).executeTakeFirst()) !== undefined),

  /** Keeps in mind that it was said. */
  keep: (key: string): Promise<void> =>
    unit(async (db) => {
      await db
        .insertInto('notices')
        .values({ key, said_at: new Date().toISOString() })
        .onConflict((c) => c.column('key').doNothing())
        .execute();
    }),
});
