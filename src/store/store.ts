import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Kysely, type Transaction } from 'kysely';
import { Migrator } from 'kysely/migration';
import { CoatcheckError } from '../errors.ts';
import { attempts } from './attempts.ts';
import { credentials } from './credentials.ts';
import { deliveries } from './deliveries.ts';
import { events } from './events.ts';
import { notices } from './notices.ts';
import { type Database, MIGRATIONS } from './schema.ts';
import { sqliteDialect } from './sqlite.ts';
import { tasks } from './tasks.ts';
import { usage } from './usage.ts';

/** Runs one unit of work: everything in it is written, or nothing. Units never overlap. */
export type Unit = <T>(work: (db: Transaction<Database>) => Promise<T>) => Promise<T>;

/**
 * SQL's side of the truth: every method is one transaction, and only the control plane holds a store.
 * @throws CoatcheckError `store_unusable` when the file cannot be opened or is newer than this version.
 */
export async function openStore(options: { directory: string }) {
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const db = new Kysely<Database>({ dialect: sqliteDialect(path.join(options.directory, 'coatcheck.sqlite')) });
  const migrated = await new Migrator({ db, provider: { getMigrations: async () => ({ ...MIGRATIONS }) } }).migrateToLatest();
  if (migrated.error !== undefined) {
    await db.destroy();
    throw new CoatcheckError(
      'store_unusable',
      `The database in ${options.directory} could not be brought to this version's schema.`,
      'Start the version that wrote it, or move the data directory aside and start anew.',
      { cause: migrated.error },
    );
  }

  // SQLite has one connection here, so an unfinished transaction would swallow a neighbour's statements: units queue up.
  let last: Promise<unknown> = Promise.resolve();
  const unit: Unit = (work) => {
    const next = last.then(() => db.transaction().execute(work));
    last = next.catch(() => undefined);
    return next;
  };

  return {
    deliveries: deliveries(unit),
    tasks: tasks(unit),
    attempts: attempts(unit),
    events: events(unit),
    credentials: credentials(unit),
    notices: notices(unit),
    usage: usage(unit),
    async close(): Promise<void> {
      await last;
      await db.destroy();
    },
  };
}
export type Store = Awaited<ReturnType<typeof openStore>>;
