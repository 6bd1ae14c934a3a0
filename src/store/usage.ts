import type { Unit } from './store.ts';

const today = () => new Date().toISOString().slice(0, 10);

export const usage = (unit: Unit) => ({
  /** Tokens that an installation has used or reserved today (UTC). */
  today: (installation: number): Promise<number> =>
    unit(async (db) => {
      const row = await db
        .selectFrom('usage')
        .select('tokens')
        .where('installation', '=', installation)
        .where('day', '=', today())
        .executeTakeFirst();
      return row?.tokens ?? 0;
    }),

  /** Adds to today's count; a negative number gives a reservation back. */
  add: (installation: number, tokens: number): Promise<void> =>
    unit(async (db) => {
      await db
        .insertInto('usage')
        .values({ installation, day: today(), tokens })
        .onConflict((c) => c.columns(['installation', 'day']).doUpdateSet((e) => ({ tokens: e('usage.tokens', '+', tokens) })))
        .execute();
    }),
});
