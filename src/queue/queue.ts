import { Queue as BullQueue } from 'bullmq';
import { ANSWER_MS, checkRedis, endConnections, redisOptions, unavailable, within } from './connection.ts';
import { jobIdOf, QUEUE_NAME, Wake } from './wake.ts';
import { startWorker, type Worker, type WorkOptions } from './worker.ts';

export interface QueueOptions {
  readonly url: string;
  /** A line for the operator's log: dropped jobs, a Redis that went away. */
  readonly log?: (line: string) => void;
  /** A worker that is silent for this long is taken for dead and its jobs are given to another. */
  readonly lockMs?: number;
}

/** Wake-ups of attempts, over Redis: what it says is not believed, what it loses is woken up again by the control plane. */
export interface Queue {
  /**
   * Wakes a host for an attempt. Waking one that already waits, or is being worked on, changes nothing.
   *
   * @throws CoatcheckError `queue_unavailable`, after three seconds at most.
   */
  wake(task: string, attempt: number): Promise<void>;
  /** Takes wake-ups until closed; when Redis goes away it waits and goes on. */
  work(options: WorkOptions): Promise<Worker>;
  /** Ends the producer's connection; workers are closed by themselves. */
  close(): Promise<void>;
}

const LOCK_MS = 30_000;

/** @throws CoatcheckError `queue_unavailable`, or `redis_evicts` naming the setting. */
export async function openQueue(options: QueueOptions): Promise<Queue> {
  const { url, log = () => {}, lockMs = LOCK_MS } = options;
  await checkRedis(url);
  // Without an offline queue a wake-up fails at once while Redis is away, instead of waiting for it.
  const producer = new BullQueue<Wake, void, 'attempt'>(QUEUE_NAME, {
    connection: { ...redisOptions(url), enableOfflineQueue: false },
  });
  let said = '';
  producer.on('error', (error) => {
    if (error.message !== said) log(`queue: ${error.message}`);
    said = error.message;
  });
  try {
    await within(ANSWER_MS, () => producer.waitUntilReady());
  } catch (cause) {
    await producer.disconnect();
    throw unavailable(cause);
  }
  return {
    async wake(task, attempt) {
      const wake = Wake.parse({ task, attempt });
      try {
        // Gone as soon as it is done, however that was: nothing piles up, and the same attempt can be woken again.
        const job = { jobId: jobIdOf(wake), removeOnComplete: true, removeOnFail: true };
        await within(ANSWER_MS, () => producer.add('attempt', wake, job));
      } catch (cause) {
        throw unavailable(cause);
      }
    },
    work: (work) => startWorker({ ...work, url, lockMs, log }),
    async close() {
      await endConnections(producer);
    },
  };
}
