import type { HostEvent } from '../audit/events.ts';
import type { KernelSight, KernelSummary } from '../sandbox/sandbox.ts';

/** How long sights wait for company before they are reported. */
const GATHER_MS = 1000;
/** Sights, and about how many characters of text, that one event holds. */
const SIGHTS = 200;
const TEXT = 64 * 1024;

type Saw = Extract<HostEvent, { type: 'kernel.saw' }>;

/** Reports what the kernel of one sandbox saw, in order, in batches. */
export function kernelReport(emit: (event: HostEvent) => void) {
  let sandbox: string | null = null;
  let batch = empty();
  let timer: NodeJS.Timeout | null = null;

  function flush(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (sandbox === null || batch.processes.length + batch.connects.length === 0) return;
    emit({ type: 'kernel.saw', sandbox, processes: batch.processes, connects: batch.connects });
    batch = empty();
  }

  return {
    saw(sight: KernelSight): void {
      batch.text += sizeOf(sight);
      if (sight.seen === 'process') {
        const { pid, parent, command, executable, argv } = sight;
        batch.processes.push({ pid, parent, command, executable, argv: [...argv] });
      } else {
        const { pid, command, to, result } = sight;
        batch.connects.push({ pid, command, to, result });
      }
      if (batch.text > TEXT || batch.processes.length + batch.connects.length >= SIGHTS) flush();
      else timer ??= setTimeout(flush, GATHER_MS).unref();
    },

    /** Names the sandbox, once it is there; what was seen before waits for that. */
    begin(id: string): void {
      sandbox = id;
    },

    /** Reports the rest, and the totals where the runtime kept a log. */
    end(summary: KernelSummary | null): void {
      flush();
      if (sandbox !== null && summary !== null) emit({ type: 'kernel.summary', sandbox, ...summary });
    },
  };
}

const empty = (): { processes: Saw['processes']; connects: Saw['connects']; text: number } => ({
  processes: [],
  connects: [],
  text: 0,
});

const sizeOf = (sight: KernelSight): number =>
  sight.seen === 'connect' ? sight.to.length : sight.argv.reduce((sum, argument) => sum + argument.length, 0);
