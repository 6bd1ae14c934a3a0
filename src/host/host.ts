import type { Logger } from 'pino';
import type { Harness } from '../agent/harness.ts';
import { errorText } from '../errors.ts';
import type { GitNetwork } from '../git/remote.ts';
import type { Queue } from '../queue/queue.ts';
import type { SandboxDriver } from '../sandbox/docker.ts';
import type { HostFacts } from '../task/protocol.ts';
import type { ControlClient } from './protocol-client.ts';
import { openRunRoot, sweepRunRoots } from './run-directory.ts';
import { runTask } from './run-task.ts';

const SWEEP_EVERY_MS = 30_000;
/** How long running attempts may go on when the host is asked to stop; then they are stopped and handed back. */
export const GRACE_MS = 10_000;

export interface HostOptions {
  readonly control: ControlClient;
  readonly queue: Queue;
  readonly sandboxes: SandboxDriver;
  /** Makes the agent of one attempt. */
  readonly harness: () => Harness;
  /** Mirrors of repositories. */
  readonly directory: string;
  readonly facts: HostFacts;
  readonly slots: number;
  /** PEM text of the company's own certificate authorities, or empty. */
  readonly authorities: string;
  readonly upstreamProxy: string | null;
  /** How git reaches GitHub. */
  readonly network: GitNetwork;
  /** Names that doors answer with these addresses instead of asking DNS. */
  readonly hosts: Readonly<Record<string, string>>;
  readonly log: Logger;
}

/** What a run needs of its host. */
export interface RunHost extends HostOptions {
  /** Short enough for sockets below it. */
  readonly runDirectory: string;
}

/**
 * A host: takes wake-ups from the queue as its slots allow, runs each attempt to its end, and removes what dead
 * processes of this machine left behind.
 */
export async function startHost(options: HostOptions): Promise<{ close(graceMs?: number): Promise<void> }> {
  const { log } = options;
  const ending = new AbortController();
  const sweep = async (): Promise<void> => {
    const { removed } = await options.sandboxes.sweep();
    const left = [...removed, ...(await sweepRunRoots())];
    if (left.length > 0) log.warn({ left }, 'removed what a dead process left behind');
  };
  await sweep();
  const runRoot = await openRunRoot();
  const sweeping = setInterval(() => {
    sweep().catch((error: unknown) => log.error(`sweep: ${errorText(error)}`));
  }, SWEEP_EVERY_MS);

  const worker = await options.queue.work({
    concurrency: options.slots,
    signal: ending.signal,
    handler: async (wake, signal) => {
      try {
        await runTask(wake, { ...options, runDirectory: runRoot.directory }, AbortSignal.any([signal, ending.signal]));
      } catch (error) {
        // The control plane's lease ends what could not even be reported.
        log.error({ task: wake.task, attempt: wake.attempt }, errorText(error));
      }
    },
  });

  return {
    async close(graceMs = GRACE_MS): Promise<void> {
      clearInterval(sweeping);
      const grace = setTimeout(() => ending.abort(), graceMs);
      await worker.close(graceMs + 30_000);
      clearTimeout(grace);
      ending.abort();
      await runRoot.close();
    },
  };
}
