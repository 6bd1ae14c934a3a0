import type Docker from 'dockerode';
import { CoatcheckError, errorText } from '../errors.ts';
import { containerOptions } from './container-options.ts';
import { DockerSandbox } from './docker-sandbox.ts';
import { type Engine, openEngine, statusOf } from './engine.ts';
import { inspectDigest } from './inspect-digest.ts';
import { type Owner, thisProcess } from './owner.ts';
import { prepareInside } from './prepare.ts';
import { removeContainer } from './removal.ts';
import { engineFacts, type Runtime, runtimeFor } from './runtimes.ts';
import type { Sandbox, SandboxSpec } from './sandbox.ts';
import { sweep } from './sweep.ts';

/** Bytes of output after which a command is killed, kept or not: far more than any build log, a minute of `yes`. */
const OUTPUT_BUDGET = 1024 * 1024 * 1024;

export interface DockerOptions {
  readonly socketPath: string;
  /** Names this process as owner of what it creates; a host's name is unique among the hosts of a deployment. */
  readonly owner: { readonly deployment: string; readonly host: string };
  readonly log?: (line: string) => void;
  /** Limit of one call to the engine, in milliseconds. */
  readonly callMs?: number;
  readonly outputBudget?: number;
}

/** Creates sandboxes, and removes those that nobody owns any more. */
export interface SandboxDriver {
  /**
   * @throws CoatcheckError `sandbox_unavailable` when the runtime or the image is missing, `not_gvisor` when what was started
   * is not what was asked for, `sandbox_limits`, `engine_unreachable`; the signal's reason when it ends first. Nothing is left.
   */
  create(spec: SandboxSpec, signal: AbortSignal): Promise<Sandbox>;
  /** Runtimes that work here, with their versions, and the engine's version. */
  facts(): Promise<{ runtimes: { name: 'runsc' | 'runc'; version: string }[]; engine: string }>;
  /** Removes what dead owners of this deployment left behind; run at start and now and then. */
  sweep(): Promise<{ removed: string[] }>;
  /** Closes the sandboxes that are still open, then the connections. Idempotent. */
  close(): Promise<void>;
}

/** Sandboxes on the Docker engine behind this socket. Nothing is asked of the engine before the first call. */
export function openDocker(options: DockerOptions): SandboxDriver {
  const { log = () => {}, outputBudget = OUTPUT_BUDGET } = options;
  const engine = openEngine(options.socketPath, options.callMs);
  const owner = thisProcess(options.owner);
  const open = new Set<Sandbox>();
  return {
    async create(spec, signal) {
      const runtime = runtimeFor((await engineFacts(engine)).runtimes, spec.runtime);
      const container = await createContainer(engine, spec, owner, signal);
      try {
        const { pid, facts } = await start(engine, container, spec, runtime, signal);
        const onClosed = () => open.delete(sandbox);
        const { limits } = spec;
        const sandbox: Sandbox = new DockerSandbox({ engine, container, pid, facts, limits, outputBudget, log, onClosed });
        open.add(sandbox);
        return sandbox;
      } catch (thrown) {
        await removeContainer(engine, container).catch((left: unknown) => log(errorText(left)));
        throw thrown;
      }
    },
    async facts() {
      const { runtimes, engine: version } = await engineFacts(engine);
      return { runtimes: runtimes.map(({ name, version }) => ({ name, version })), engine: version };
    },
    sweep: () => sweep(engine, owner, new Set([...open].map(({ id }) => id)), log),
    async close() {
      await Promise.all([...open].map((sandbox) => sandbox.close().catch((left: unknown) => log(errorText(left)))));
      engine.close();
    },
  };
}

async function createContainer(engine: Engine, spec: SandboxSpec, owner: Owner, signal: AbortSignal): Promise<Docker.Container> {
  const image = engine.docker.getImage(spec.image);
  try {
    const { Id } = await engine.call('look for an image', () => image.inspect(), { signal });
    const wanted = containerOptions(spec, Id, owner);
    // Not cut by the caller's signal: an answer that is not waited for would leave a container that nobody knows.
    return await engine.call('create a sandbox', () => engine.docker.createContainer(wanted));
  } catch (thrown) {
    if (statusOf(thrown) !== 404) throw thrown;
    throw new CoatcheckError(
      'sandbox_unavailable',
      `The runner image \`${spec.image}\` is not on this host.`,
      'Run `npm run setup` to build it, or load the image that the operator lists.',
      { cause: thrown },
    );
  }
}

async function start(engine: Engine, container: Docker.Container, spec: SandboxSpec, runtime: Runtime, signal: AbortSignal) {
  await engine.call('start a sandbox', (abortSignal) => container.start({ abortSignal }), { signal });
  const inspect = await engine.call('describe a sandbox', (abortSignal) => container.inspect({ abortSignal }), { signal });
  const kernel = await prepareInside(engine, container, spec.runtime);
  signal.throwIfAborted();
  return {
    pid: inspect.State.Pid,
    facts: {
      image: spec.image,
      imageDigest: inspect.Image,
      runtime: runtime.name,
      runtimeVersion: runtime.version,
      kernel,
      inspectDigest: inspectDigest(inspect),
      capabilities: [],
    },
  };
}
