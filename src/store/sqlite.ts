import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { type SqliteDatabase, SqliteDialect, type SqliteStatement } from 'kysely';

/** The query builder speaks better-sqlite3's interface; this is Node's own SQLite behind it, so nothing native is built. */
function statement(prepared: StatementSync): SqliteStatement {
  const values = (parameters: readonly unknown[]) => parameters as readonly SQLInputValue[];
  return {
    reader: prepared.columns().length > 0,
    all: (parameters) => prepared.all(...values(parameters)),
    run: (parameters) => prepared.run(...values(parameters)),
    iterate: (parameters) => prepared.iterate(...values(parameters)),
  };
}

/**
 * Opens an SQLite file for the query builder.
 * `synchronous = full` because an acknowledged delivery must survive a power cut.
 */
export function sqliteDialect(file: string): SqliteDialect {
  const database = new DatabaseSync(file);
  database.exec('pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on; pragma busy_timeout = 5000;');
  const adapter: SqliteDatabase = {
    close: () => database.close(),
    prepare: (sql) => statement(database.prepare(sql)),
  };
  return new SqliteDialect({ database: adapter });
}
