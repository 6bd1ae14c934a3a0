import type { Unit } from './store.ts';

const today = () => new Date().toISOString().slice(0, 10);

/** What an installation has used or reserved in one day (UTC). */
export interface Usage {
  readonly tokens: number;
  /** US dollars, as far as prices are known. */
  readonly costUsd: number;
}

export const usage = (unit: Unit) => ({
  today: (installation: number): Promise<Usage> =>
    unit(async (db) => {
      const row = await db
        .selectFrom('usage')
        .select(['tokens', 'cost_usd'])
        .where('installation', '=', installation)
        .where('day', '=', today())
        .executeTakeFirst();
      return { tokens: row?.tokens ?? 0, costUsd: row?.cost_usd ?? 0 };
    }),

  /** Adds to today's count; a negative number of tokens gives a reservation back. */
  add: (installation: number, added: Partial<Usage>): Promise<void> =>
    unit(async (db) => {
      const { tokens = 0, costUsd = 0 } = added;
      await db
        .insertInto('usage')
        .values({ installation, day: today(), tokens, cost_usd: costUsd })
        .onConflict((c) =>
          c
            .columns(['installation', 'day'])
            .doUpdateSet((e) => ({ tokens: e('usage.tokens', '+', tokens), cost_usd: e('usage.cost_usd', '+', costUsd) })),
        )
        .execute();
    }),
});
