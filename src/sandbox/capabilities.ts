import { CoatcheckError } from '../errors.ts';
import { CAPABILITIES, type Capability } from '../policy/capabilities.ts';
import type { SandboxLimits } from '../policy/limits.ts';
import type { Disks } from './disk.ts';
import type { EngineFacts, Runtime } from './runtimes.ts';
import { hasWitness } from './witness/arguments.ts';

/** What a capability is judged by: facts of this host, looked up and not assumed. */
export interface Ground {
  readonly runtime: Runtime;
  readonly engine: EngineFacts;
  readonly workIn: SandboxLimits['workIn'];
  readonly disks: Disks;
  /** Whether this process can read the counters of memory control groups. */
  readonly seesMemory: boolean;
}

/** Why a runtime does not give something here, and what to do about it. */
interface Missing {
  readonly why: string;
  readonly next: string;
}

type Look = (ground: Ground) => Missing | null | Promise<Missing | null>;

const SETUP = 'Run `npm run setup` on this host.';
const OWN_KERNEL = 'Name `runsc` in the operator’s policy under runtime.allow.';

const given: Look = () => null;
const never =
  (why: string, next: string): Look =>
  () => ({ why, next });

/** The engine caps memory, and the counter of kills can be read from here: gVisor's guest hangs after one without a word. */
const memory: Look = ({ engine, seesMemory }) => {
  if (!engine.limitsMemory) {
    return { why: 'the engine cannot cap memory on this kernel', next: 'Mount the memory control group; `npm run setup` does.' };
  }
  if (seesMemory) return null;
  return { why: 'the memory control groups cannot be read by this process', next: 'Run the host beside the engine, as root.' };
};

/** A tmpfs has a size by itself; a work tree on disk has one only where a file system of that size can be made and mounted. */
const disk: Look = async ({ workIn, disks }) => {
  if (workIn === 'memory') return null;
  const why = await disks.problem();
  return why === null ? null : { why, next: 'Run the host as root with loop devices, or set limits.work_in to `memory`.' };
};

/** The runtime is registered without an interface of its own; the engine gives it none either (`NetworkMode: none`). */
const networkArgument: Look = ({ runtime }) =>
  runtime.arguments.includes('--network=none') ? null : { why: 'it is registered without `--network=none`', next: SETUP };

/** The runtime keeps the log; whether it can be read from here is seen in every sandbox. */
const witness: Look = ({ runtime }) =>
  hasWitness(runtime.arguments)
    ? null
    : { why: 'it is registered without the arguments that make it log processes and connects', next: SETUP };

/**
 * The table: what each runtime gives, and how that is established on a host. Kata would give a kernel of its own, no
 * network, and memory and disk by the size of its machine; its guest kernel's account would have to be fetched by an agent
 * of its own. It is not wired: `runtimeFor` refuses it by name.
 */
const TABLE: Readonly<Record<Runtime['name'], Readonly<Record<Capability, Look>>>> = {
  runsc: {
    // Looked at in every sandbox as well: one in which another kernel answers is refused (`not_gvisor`).
    own_kernel: given,
    no_network: networkArgument,
    enforced_memory: memory,
    enforced_disk: disk,
    kernel_witness: witness,
  },
  runc: {
    own_kernel: never('it shares the host’s kernel', OWN_KERNEL),
    // The engine's own doing, which the golden description of a sandbox holds it to.
    no_network: given,
    enforced_memory: memory,
    enforced_disk: disk,
    kernel_witness: never('the host’s kernel keeps no account of what runs inside', OWN_KERNEL),
  },
};

/**
 * What a runtime gives on this host.
 * @param wanted what the policy asks for
 * @throws CoatcheckError `sandbox_unavailable` naming the first capability that is asked for and not given, and the fix.
 */
export async function capabilitiesOf(ground: Ground, wanted: readonly Capability[]): Promise<Capability[]> {
  const row = TABLE[ground.runtime.name];
  const found: Capability[] = [];
  for (const capability of CAPABILITIES) {
    const missing = await row[capability](ground);
    if (missing === null) found.push(capability);
    else if (wanted.includes(capability)) {
      throw new CoatcheckError(
        'sandbox_unavailable',
        `The policy asks for \`${capability}\`, which the runtime \`${ground.runtime.name}\` does not give on this host: ${missing.why}.`,
        missing.next,
      );
    }
  }
  return found;
}
