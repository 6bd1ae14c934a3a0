import type { Kysely, Selectable } from 'kysely';
import type { Migration } from 'kysely/migration';

/** Columns whose names end in `_json` hold canonical values that the reading side parses with the room's zod schema. */
export interface Database {
  deliveries: {
    guid: string;
    event: string;
    payload_digest: string;
    payload_json: string;
    received_at: string;
    /** `received` until the delivery has been worked through; then what came of it. */
    state: 'received' | 'done';
    outcome: string;
  };
  tasks: {
    id: string;
    /** `repository id#issue number` while the task is open, null after its end: unique, so an issue has one open task. */
    open_key: string | null;
    delivery: string;
    task_json: string;
    state: string;
    installation: number;
    created_at: string;
    /** What a host is told to do, and what the task may do; null until its policy is resolved. */
    work_json: string | null;
    /** What the control plane made on GitHub for this task. */
    traces_json: string;
    stop_json: string | null;
    diff: string | null;
  };
  attempts: {
    task: string;
    number: number;
    state: 'queued' | 'running' | 'handed_over' | 'ended';
    host: string | null;
    token_digest: string | null;
    started_at: string | null;
    /** Highest sequence number of the host's own events that is stored. */
    host_seq: number;
    bundle: string | null;
    finish_json: string | null;
    sealed_at: string | null;
  };
  events: { task: string; attempt: number; seq: number; line: string };
  credentials: {
    id: string;
    task: string;
    attempt: number;
    kind: 'repository_read' | 'repository_write' | 'model' | 'registry';
    /** Kept only until the credential is revoked: a restarted control plane must be able to revoke what it minted. */
    secret: string | null;
    scope: string;
    expires_at: string | null;
    revoked_at: string | null;
  };
  notices: { key: string; said_at: string };
  usage: { installation: number; day: string; tokens: number; cost_usd: number };
}

export type Row<T extends keyof Database> = Selectable<Database[T]>;

const first: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('deliveries')
      .addColumn('guid', 'text', (c) => c.primaryKey())
      .addColumn('event', 'text', (c) => c.notNull())
      .addColumn('payload_digest', 'text', (c) => c.notNull())
      .addColumn('payload_json', 'text', (c) => c.notNull())
      .addColumn('received_at', 'text', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('outcome', 'text', (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('tasks')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('open_key', 'text', (c) => c.unique())
      .addColumn('delivery', 'text', (c) => c.notNull().unique())
      .addColumn('task_json', 'text', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('installation', 'integer', (c) => c.notNull())
      .addColumn('created_at', 'text', (c) => c.notNull())
      .addColumn('work_json', 'text')
      .addColumn('traces_json', 'text', (c) => c.notNull())
      .addColumn('stop_json', 'text')
      .addColumn('diff', 'text')
      .execute();
    await db.schema
      .createTable('attempts')
      .addColumn('task', 'text', (c) => c.notNull().references('tasks.id'))
      .addColumn('number', 'integer', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('host', 'text')
      .addColumn('token_digest', 'text', (c) => c.unique())
      .addColumn('started_at', 'text')
      .addColumn('host_seq', 'integer', (c) => c.notNull())
      .addColumn('bundle', 'text')
      .addColumn('finish_json', 'text')
      .addColumn('sealed_at', 'text')
      .addPrimaryKeyConstraint('attempts_key', ['task', 'number'])
      .execute();
    await db.schema
      .createTable('events')
      .addColumn('task', 'text', (c) => c.notNull())
      .addColumn('attempt', 'integer', (c) => c.notNull())
      .addColumn('seq', 'integer', (c) => c.notNull())
      .addColumn('line', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('events_key', ['task', 'attempt', 'seq'])
      .execute();
    await db.schema
      .createTable('credentials')
      .addColumn('id', 'text', (c) => c.notNull())
      .addColumn('task', 'text', (c) => c.notNull())
      .addColumn('attempt', 'integer', (c) => c.notNull())
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('secret', 'text')
      .addColumn('scope', 'text', (c) => c.notNull())
      .addColumn('expires_at', 'text')
      .addColumn('revoked_at', 'text')
      .addPrimaryKeyConstraint('credentials_key', ['task', 'attempt', 'id'])
      .execute();
    await db.schema
      .createTable('notices')
      .addColumn('key', 'text', (c) => c.primaryKey())
      .addColumn('said_at', 'text', (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('usage')
      .addColumn('installation', 'integer', (c) => c.notNull())
      .addColumn('day', 'text', (c) => c.notNull())
      .addColumn('tokens', 'integer', (c) => c.notNull())
      .addColumn('cost_usd', 'real', (c) => c.notNull())
      .addPrimaryKeyConstraint('usage_key', ['installation', 'day'])
      .execute();
    await db.schema.createIndex('tasks_by_state').on('tasks').column('state').execute();
    await db.schema.createIndex('deliveries_by_state').on('deliveries').column('state').execute();
    await db.schema.createIndex('attempts_by_state').on('attempts').column('state').execute();
  },
};

/** In the order in which they are applied; a landed migration never changes. */
export const MIGRATIONS: Readonly<Record<string, Migration>> = { '0001_first': first };
