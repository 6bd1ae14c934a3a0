import { Agent } from 'node:http';
import Docker from 'dockerode';
import { CoatcheckError, errorText } from '../errors.ts';

/** How long one call to the engine may take before the engine counts as unreachable. Creating and starting take under 2 s each. */
const CALL_MS = 30_000;

/** Docker's API over its socket, with every call bounded: a hung engine ends in an error, not in waiting. */
export interface Engine {
  readonly docker: Docker;
  /**
   * Makes one call. `run` gets a signal that ends with the time limit or with `signal`.
   * An answer of the engine with an error status is thrown as it is (see `statusOf`).
   * @throws CoatcheckError `engine_unreachable` when the engine does not answer within `ms` milliseconds or not at all.
   */
  call<T>(what: string, run: (signal: AbortSignal) => Promise<T>, options?: { ms?: number; signal?: AbortSignal }): Promise<T>;
  close(): void;
}

/** The HTTP status with which the engine refused a call; null for any other error. */
export function statusOf(thrown: unknown): number | null {
  if (typeof thrown !== 'object' || thrown === null || !('statusCode' in thrown)) return null;
  return typeof thrown.statusCode === 'number' ? thrown.statusCode : null;
}

/** @param callMs the most that any call may take. */
export function openEngine(socketPath: string, callMs = CALL_MS): Engine {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 8 });
  // `host` is named so that DOCKER_HOST in the environment, which the client reads by itself, cannot redirect us.
  const options = { socketPath, host: undefined, protocol: 'http' as const, agent };
  const docker = new Docker(options);
  return {
    docker,
    close: () => agent.destroy(),
    async call(what, run, { ms: wanted = callMs, signal } = {}) {
      const ms = Math.min(wanted, callMs);
      signal?.throwIfAborted();
      const limit = AbortSignal.timeout(ms);
      const ended = signal === undefined ? limit : AbortSignal.any([limit, signal]);
      const { promise: cut, reject } = Promise.withResolvers<never>();
      const onEnd = () => reject(ended.reason);
      ended.addEventListener('abort', onEnd, { once: true });
      try {
        return await Promise.race([run(ended), cut]);
      } catch (thrown) {
        if (statusOf(thrown) !== null) throw thrown;
        signal?.throwIfAborted();
        const why = limit.aborted ? `no answer within ${ms} ms` : errorText(thrown);
        throw new CoatcheckError(
          'engine_unreachable',
          `The Docker engine at ${socketPath} could not ${what}: ${why}.`,
          'Check that dockerd runs and answers `docker info`; the attempt is repeated.',
          { cause: thrown },
        );
      } finally {
        ended.removeEventListener('abort', onEnd);
      }
    },
  };
}
