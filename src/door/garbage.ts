const MiB = 1024 * 1024;
/** Well below the 64 MiB at which V8 would collect everything. */
const EVERY_BYTES = 8 * MiB;

/**
 * Told of what passed, gives its buffers back every few megabytes with a collection of the young generation alone.
 * Large pieces make hardly any garbage on the heap, so left to itself V8 collects only when the memory outside of it
 * has grown to its limit, and then everything: a quarter more processor time and half as much memory again (measured).
 * Does nothing in a process without `--expose-gc`.
 */
function collector(): (bytes: number) => void {
  let since = 0;
  return (bytes) => {
    since += bytes;
    if (since < EVERY_BYTES) return;
    since = 0;
    globalThis.gc?.({ type: 'minor', execution: 'sync' });
  };
}

/** One for the process, as its heap is. */
export const passed: (bytes: number) => void = collector();
