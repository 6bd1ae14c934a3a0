import type { Unit } from './store.ts';

export interface Delivery {
  readonly guid: string;
  readonly event: string;
  readonly payloadDigest: string;
  readonly payload: unknown;
}

/** A delivery that was taken in and not yet worked through. */
export interface Waiting extends Delivery {
  readonly receivedAt: string;
}

export const deliveries = (unit: Unit) => ({
  /** Keeps a delivery for good. False when its GUID is already known, as on a redelivery. */
  take: (delivery: Delivery): Promise<boolean> =>
    unit(async (db) => {
      const result = await db
        .insertInto('deliveries')
        .values({
          guid: delivery.guid,
          event: delivery.event,
          payload_digest: delivery.payloadDigest,
          payload_json: JSON.stringify(delivery.payload),
          received_at: new Date().toISOString(),
          state: 'received',
          outcome: '',
        })
        .onConflict((c) => c.column('guid').doNothing())
        .executeTakeFirst();
      return Number(result.numInsertedOrUpdatedRows ?? 0) === 1;
    }),

  /** What was taken in and not yet worked through, oldest first. */
  waiting: (): Promise<Waiting[]> =>
    unit(async (db) => {
      const rows = await db
        .selectFrom('deliveries')
        .selectAll()
        .where('state', '=', 'received')
        .orderBy('received_at')
        .limit(1000)
        .execute();
      return rows.map((row) => ({
        guid: row.guid,
        event: row.event,
        payloadDigest: row.payload_digest,
        payload: JSON.parse(row.payload_json),
        receivedAt: row.received_at,
      }));
    }),

  /** The payload is dropped once it is worked through: it may hold other people's text, and the task has its snapshot. */
  done: (guid: string, outcome: string): Promise<void> =>
    unit(async (db) => {
      await db.updateTable('deliveries').set({ state: 'done', outcome, payload_json: 'null' }).where('guid', '=', guid).execute();
    }),

  known: (guid: string): Promise<boolean> =>
    unit(
      async (db) => (await db.selectFrom('deliveries').select('guid').where('guid', '=', guid).executeTakeFirst()) !== undefined,
    ),

  outcome: (guid: string): Promise<string | null> =>
    unit(async (db) => {
      const row = await db.selectFrom('deliveries').select(['state', 'outcome']).where('guid', '=', guid).executeTakeFirst();
      return row?.state === 'done' ? row.outcome : null;
    }),
});
