import { Redis } from 'ioredis';
import { CoatcheckError, errorText } from '../errors.ts';

/** How long a Redis may take to answer before it counts as away. */
export const ANSWER_MS = 3000;

/** Both ioredis and BullMQ take these. */
export interface Connection {
  readonly path?: string;
  readonly host?: string;
  readonly port?: number;
  readonly username?: string;
  readonly password?: string;
  readonly db?: number;
  readonly tls?: object;
  readonly retryStrategy: (times: number) => number;
  readonly connectTimeout: number;
}

/**
 * Options for a Redis URL: `redis://`, `rediss://` (TLS), or `unix:///path/to/redis.sock`.
 * A lost connection is tried again, after two seconds at most.
 */
export function redisOptions(url: string): Connection {
  const { protocol, hostname, port, username, password, pathname } = new URL(url);
  const patience = { retryStrategy: (times: number) => Math.min(times * 100, 2000), connectTimeout: ANSWER_MS };
  if (protocol === 'unix:') return { ...patience, path: decodeURIComponent(pathname) };
  const db = Number.parseInt(pathname.slice(1), 10);
  return {
    ...patience,
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? 6379 : Number(port),
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
    ...(Number.isNaN(db) ? {} : { db }),
    ...(protocol === 'rediss:' ? { tls: {} } : {}),
  };
}

export const unavailable = (cause: unknown) =>
  new CoatcheckError(
    'queue_unavailable',
    `Redis does not answer: ${errorText(cause)}.`,
    'Start it, or check REDIS_URL; what was accepted before is kept and goes on then.',
    { cause },
  );

/**
 * Asks the Redis at a URL whether it can be relied on.
 *
 * @throws CoatcheckError `queue_unavailable`; `redis_evicts` when it drops keys as its memory fills, which loses wake-ups.
 */
export async function checkRedis(url: string): Promise<void> {
  const policy = await ask(url, async (redis) => /^maxmemory_policy:(\S+)/m.exec(await redis.info('memory'))?.[1]);
  if (policy === undefined || policy === 'noeviction') return;
  throw new CoatcheckError(
    'redis_evicts',
    `Redis has maxmemory-policy ${policy}: it drops keys when its memory fills, and tasks with them.`,
    'Set maxmemory-policy to noeviction (CONFIG SET maxmemory-policy noeviction, and in redis.conf), or name another Redis.',
  );
}

/** One question over a connection of its own, answered within `ANSWER_MS`. @throws CoatcheckError `queue_unavailable`. */
export async function ask<Answer>(url: string, question: (redis: Redis) => Promise<Answer>): Promise<Answer> {
  const redis = new Redis({ ...redisOptions(url), lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
  // Told by the rejected call too; without a listener it would be printed.
  redis.on('error', () => {});
  try {
    return await within(ANSWER_MS, async () => {
      await redis.connect();
      return question(redis);
    });
  } catch (cause) {
    throw unavailable(cause);
  } finally {
    redis.disconnect();
  }
}

/** The work's result, or a rejection after so many milliseconds; a frozen server answers nothing at all. */
export async function within<Result>(ms: number, work: () => Promise<Result>): Promise<Result> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${ms} ms`)), ms);
  try {
    return await Promise.race([work(), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** A connection that is cut by force needs nobody's answer. */
const CUT_MS = 500;

/**
 * Ends something's connections, politely, else by force. A connection that is about to reconnect to a Redis that went away
 * tells the end of neither, and may outlive both: false then.
 */
export async function endConnections(of: { close(): Promise<unknown>; disconnect(): Promise<unknown> }): Promise<boolean> {
  const ended = (ms: number, work: () => Promise<unknown>) =>
    within(ms, work).then(
      () => true,
      () => false,
    );
  return (await ended(ANSWER_MS, () => of.close())) || (await ended(CUT_MS, () => of.disconnect()));
}
