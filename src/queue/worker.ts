import { Worker as BullWorker, type Job, WaitingError } from 'bullmq';
import { errorText } from '../errors.ts';
import { endConnections, redisOptions, within } from './connection.ts';
import { jobIdOf, QUEUE_NAME, Wake } from './wake.ts';

export interface WorkOptions {
  /** How many attempts at once. */
  readonly concurrency: number;
  /** Carries out what an attempt needs; its signal aborts when the worker must end. A rejection is logged, no more. */
  readonly handler: (wake: Wake, signal: AbortSignal) => Promise<void>;
  /** Aborts running handlers and takes no more wake-ups. */
  readonly signal: AbortSignal;
}

export interface Worker {
  /** Takes no new wake-ups; what runs goes on. */
  pause(): Promise<void>;
  /**
   * Takes no new wake-ups, gives running handlers `graceMs` to end, then aborts them; gives up waiting shortly after,
   * and leaves what has not ended to another worker. Idempotent.
   */
  close(graceMs: number): Promise<void>;
}

/** How long aborted handlers may take to clean up. */
const CLEAN_UP_MS = 10_000;
/** A job may be given to another worker as often as it takes: whether it is done is decided elsewhere. */
const TIMES_TAKEN_OVER = 1_000_000;

export async function startWorker(
  options: WorkOptions & { url: string; lockMs: number; log: (line: string) => void },
): Promise<Worker> {
  const { url, lockMs, log, handler } = options;
  const ending = new AbortController();
  const signal = AbortSignal.any([options.signal, ending.signal]);
  const running = new Set<Promise<void>>();

  let paused = options.signal.aborted;
  const process = async (job: Job<unknown>, token?: string): Promise<void> => {
    if (paused) {
      // It was already being fetched when the worker was paused: back to where another finds it.
      await job.moveToWait(token);
      throw new WaitingError();
    }
    const wake = wakeOf(job);
    if (wake === null) return log(`queue: dropped a job that is no wake-up (id ${JSON.stringify(job.id).slice(0, 100)})`);
    const run = handler(wake, signal).catch((error: unknown) => log(`queue: ${jobIdOf(wake)}: ${errorText(error)}`));
    running.add(run);
    await run;
    running.delete(run);
  };
  const worker = new BullWorker<unknown>(QUEUE_NAME, process, {
    connection: { ...redisOptions(url), maxRetriesPerRequest: null },
    concurrency: options.concurrency,
    lockDuration: lockMs,
    stalledInterval: lockMs,
    maxStalledCount: TIMES_TAKEN_OVER,
    // Also for jobs that somebody else put there without saying so.
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 0 },
  });
  let said = '';
  worker.on('error', (error) => {
    if (error.message !== said) log(`queue: ${error.message}`);
    said = error.message;
  });

  const pause = () => {
    paused = true;
    return worker.pause(true);
  };
  let closed: Promise<void> | undefined;
  const close = async (graceMs: number) => {
    const ended = () => Promise.all(running);
    await pause();
    await within(graceMs, ended).catch(() => ending.abort());
    await within(CLEAN_UP_MS, ended).catch(() => log('queue: gave up waiting for handlers that do not end'));
    ending.abort();
    // Handlers are done; what is left is telling Redis so, which may be away.
    const force = running.size > 0;
    const gone = await endConnections({ close: () => worker.close(force), disconnect: () => worker.disconnect() });
    if (!gone) log('queue: a connection to Redis could not be ended');
  };
  const onAbort = () => void pause();
  options.signal.addEventListener('abort', onAbort, { once: true });
  if (options.signal.aborted) onAbort();
  return {
    pause,
    close(graceMs) {
      closed ??= close(graceMs).finally(() => options.signal.removeEventListener('abort', onAbort));
      return closed;
    },
  };
}

/** What Redis says is not believed: a job whose content or id is not what `wake` writes is none of ours. */
function wakeOf(job: Job<unknown>): Wake | null {
  const wake = Wake.safeParse(job.data);
  return wake.success && job.id === jobIdOf(wake.data) ? wake.data : null;
}
