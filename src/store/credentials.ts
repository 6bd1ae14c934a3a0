import type { Unit } from './store.ts';

export interface Credential {
  readonly id: string;
  readonly task: string;
  readonly attempt: number;
  readonly kind: 'repository_read' | 'repository_write' | 'model' | 'registry';
  /** Empty for what is not kept here: a credential of the operator's own. */
  readonly secret: string;
  readonly scope: string;
  readonly expiresAt: string | null;
}

export const credentials = (unit: Unit) => ({
  keep: (credential: Credential): Promise<void> =>
    unit(async (db) => {
      await db
        .insertInto('credentials')
        .values({
          id: credential.id,
          task: credential.task,
          attempt: credential.attempt,
          kind: credential.kind,
          secret: credential.secret,
          scope: credential.scope,
          expires_at: credential.expiresAt,
          revoked_at: null,
        })
        .execute();
    }),

  /** What is still to be revoked of one attempt. */
  live: (task: string, attempt: number): Promise<Credential[]> =>
    unit(async (db) => {
      const rows = await db
        .selectFrom('credentials')
        .selectAll()
        .where('task', '=', task)
        .where('attempt', '=', attempt)
        .where('revoked_at', 'is', null)
        .execute();
      return rows.map((row) => ({
        id: row.id,
        task: row.task,
        attempt: row.attempt,
        kind: row.kind,
        secret: row.secret ?? '',
        scope: row.scope,
        expiresAt: row.expires_at,
      }));
    }),

  /** The attempt of a model key that is not revoked, while that attempt runs. */
  byModelKey: (secret: string): Promise<{ task: string; attempt: number } | null> =>
    unit(async (db) => {
      const row = await db
        .selectFrom('credentials')
        .innerJoin('attempts', (join) =>
          join.onRef('attempts.task', '=', 'credentials.task').onRef('attempts.number', '=', 'credentials.attempt'),
        )
        .select(['credentials.task', 'credentials.attempt'])
        .where('credentials.kind', '=', 'model')
        .where('credentials.secret', '=', secret)
        .where('credentials.revoked_at', 'is', null)
        .where('attempts.state', '=', 'running')
        .executeTakeFirst();
      return row ?? null;
    }),

  revoked: (task: string, attempt: number, id: string): Promise<void> =>
    unit(async (db) => {
      await db
        .updateTable('credentials')
        .set({ revoked_at: new Date().toISOString(), secret: null })
        .where('task', '=', task)
        .where('attempt', '=', attempt)
        .where('id', '=', id)
        .execute();
    }),
});
