import type Docker from 'dockerode';
import { CoatcheckError, errorText } from '../errors.ts';
import { capabilitiesOf } from './capabilities.ts';
import { containerOptions } from './container-options.ts';
import { openDisks, type WorkDisk } from './disk.ts';
import { DockerSandbox } from './docker-sandbox.ts';
import { type Engine, openEngine, statusOf } from './engine.ts';
import { inspectDigest } from './inspect-digest.ts';
import { readsMemoryOf, seesMemoryCgroups } from './memory-watch.ts';
import { type Owner, thisProcess } from './owner.ts';
import { prepareInside } from './prepare.ts';
import { removeContainer } from './removal.ts';
import { engineFacts, type Runtime, runtimeFor } from './runtimes.ts';
import type { Capability, Sandbox, SandboxSpec } from './sandbox.ts';
import { startServices } from './services.ts';
import { sweep } from './sweep.ts';
import { closedOnFailure, openWitness } from './witness/open-witness.ts';
import { makeLogDirectory } from './witness/sweep-logs.ts';

/** Bytes of output after which a command is killed, kept or not: far more than any build log, a minute of `yes`. */
const OUTPUT_BUDGET = 1024 * 1024 * 1024;

export interface DockerOptions {
  readonly socketPath: string;
  /** Names this process as owner of what it creates; a host's name is unique among the hosts of a deployment. */
  readonly owner: { readonly deployment: string; readonly host: string };
  /** Where work trees on disk have their file systems; its own, on this machine. Without it they can be in memory only. */
  readonly disks?: string;
  readonly log?: (line: string) => void;
  /** Limit of one call to the engine, in milliseconds. */
  readonly callMs?: number;
  readonly outputBudget?: number;
  /** Bytes of disk that the log of one sandbox's kernel may hold. */
  readonly logQuota?: number;
}

/** Creates sandboxes, and removes those that nobody owns any more. */
export interface SandboxDriver {
  /**
   * @throws CoatcheckError `sandbox_unavailable` when the runtime, the image or a capability that the spec asks for is
   * missing or no work disk can be made, `not_gvisor` when what was started is not what was asked for, `sandbox_limits`,
   * `sandbox_services`, `engine_unreachable`; the signal's reason when it ends first. Nothing is left.
   */
  create(spec: SandboxSpec, signal: AbortSignal): Promise<Sandbox>;
  /** Runtimes that work here, with their versions, and the engine's version. */
  facts(): Promise<{ runtimes: { name: 'runsc' | 'runc'; version: string }[]; engine: string }>;
  /** Why no work tree can be on disk here; null when one can. Tried for real, once. */
  diskProblem(): Promise<string | null>;
  /** Removes what dead owners of this deployment left behind; run at start and now and then. */
  sweep(): Promise<{ removed: string[] }>;
  /** Closes the sandboxes that are still open, then the connections. Idempotent. */
  close(): Promise<void>;
}

/** Sandboxes on the Docker engine behind this socket. Nothing is asked of the engine before the first call. */
export function openDocker(options: DockerOptions): SandboxDriver {
  const { log = () => {}, outputBudget = OUTPUT_BUDGET, logQuota } = options;
  const engine = openEngine(options.socketPath, options.callMs);
  const owner = thisProcess(options.owner);
  const disks = openDisks(options.disks ?? null, owner);
  const open = new Set<Sandbox>();
  return {
    async create(spec, signal) {
      const facts = await engineFacts(engine);
      const runtime = runtimeFor(facts.runtimes, spec.runtime);
      const { limits } = spec;
      const ground = { runtime, engine: facts, workIn: limits.workIn, disks, seesMemory: seesMemoryCgroups() };
      const capabilities = await capabilitiesOf(ground, spec.capabilities);
      const undo: (() => Promise<void>)[] = [];
      try {
        const disk = limits.workIn === 'disk' ? await disks.make(limits.workBytes, owner) : null;
        if (disk !== null) undo.unshift(disk.remove);
        const container = await createContainer(engine, spec, owner, disk, signal);
        undo.unshift(() => removeContainer(engine, container));
        const started = await start(engine, container, spec, { runtime, capabilities }, signal);
        const onClosed = () => open.delete(sandbox);
        const given = { limits, outputBudget, logQuota, log, onClosed };
        const sandbox: Sandbox = new DockerSandbox({ engine, container, disk, ...started, ...given });
        open.add(sandbox);
        return sandbox;
      } catch (thrown) {
        for (const release of undo) await release().catch((left: unknown) => log(errorText(left)));
        throw thrown;
      }
    },
    diskProblem: disks.problem,
    async facts() {
      const { runtimes, engine: version } = await engineFacts(engine);
      return { runtimes: runtimes.map(({ name, version }) => ({ name, version })), engine: version };
    },
    sweep: () => sweep(engine, owner, new Set([...open].map(({ id }) => id)), disks, log),
    async close() {
      await Promise.all([...open].map((sandbox) => sandbox.close().catch((left: unknown) => log(errorText(left)))));
      engine.close();
    },
  };
}

async function createContainer(
  engine: Engine,
  spec: SandboxSpec,
  owner: Owner,
  disk: WorkDisk | null,
  signal: AbortSignal,
): Promise<Docker.Container> {
  const image = engine.docker.getImage(spec.image);
  try {
    const { Id, Config } = await engine.call('look for an image', () => image.inspect(), { signal });
    refuseVolumes(spec.image, Config.Volumes);
    const wanted = containerOptions(spec, Id, owner, disk?.mount ?? null);
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

/** The engine would make a volume for each folder that an image declares: on the host's disk, writable, of any size. */
function refuseVolumes(image: string, volumes: object | null | undefined): void {
  const declared = Object.keys(volumes ?? {});
  if (declared.length === 0) return;
  throw new CoatcheckError(
    'sandbox_unavailable',
    `The image \`${image}\` declares volumes (${declared.join(', ')}), which would have no size.`,
    'Build it without VOLUME; what is written at run time goes to /tmp or /work.',
  );
}

interface Given {
  readonly runtime: Runtime;
  readonly capabilities: readonly Capability[];
}

async function start(
  engine: Engine,
  container: Docker.Container,
  spec: SandboxSpec,
  { runtime, capabilities }: Given,
  signal: AbortSignal,
) {
  if (runtime.name === 'runsc') await makeLogDirectory();
  await engine.call('start a sandbox', (abortSignal) => container.start({ abortSignal }), { signal });
  const inspect = await engine.call('describe a sandbox', (abortSignal) => container.inspect({ abortSignal }), { signal });
  const { Pid } = inspect.State;
  if (spec.capabilities.includes('enforced_memory') && !readsMemoryOf(Pid)) {
    throw new CoatcheckError(
      'sandbox_unavailable',
      'The policy asks for `enforced_memory`, and the memory counter of the sandbox cannot be read.',
      'Run the host in the same PID namespace as the engine, as root.',
    );
  }
  const witness = await openWitness(Pid, container.id, spec);
  const kernel = await closedOnFailure(witness, async () => {
    const first = await prepareInside(engine, container, spec, witness.marks.issue(0));
    await startServices(engine, container, spec, witness.marks.issue(0));
    signal.throwIfAborted();
    return first;
  });
  return {
    pid: Pid,
    witness,
    facts: {
      image: spec.image,
      imageDigest: inspect.Image,
      runtime: runtime.name,
      runtimeVersion: runtime.version,
      kernel,
      inspectDigest: inspectDigest(inspect),
      // What the host can do is one thing; this sandbox has what was found in its own case.
      capabilities: capabilities.filter(
        (one) => (one !== 'kernel_witness' || witness.log !== null) && (one !== 'enforced_memory' || readsMemoryOf(Pid)),
      ),
    },
  };
}
