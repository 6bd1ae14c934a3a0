/** Everything that `prove` attempts, row by row, with unguarded twins as controls. */
import { DOOR_PROCESS_PROBES } from '../../src/prove/door-process.ts';
import { type Ground, operatorRules } from '../../src/prove/ground.ts';
import type { InsideGround } from '../../src/prove/inside-ground.ts';
import type { Probe } from '../../src/prove/probe.ts';
import { doorProbes } from '../../src/prove/probes-door.ts';
import { CREDENTIAL_PROBES, INSIDE_PROBES } from '../../src/prove/probes-inside.ts';
import { LIMITS_PROBES } from '../../src/prove/probes-limits.ts';
import type { EscapeCase } from './cases.ts';
import { OPERATOR } from './rig.ts';
import { rowOf } from './rows.ts';

export interface ProvedTarget {
  readonly ground: Ground;
  readonly twins: readonly InsideGround[];
}

/**
 * Attempts for which a twin has no place on every kernel (a device, a module loader, a file that it does not have): they
 * stay in `prove`, and are no cases here, where a control must be shown.
 */
const WITHOUT_TWIN: ReadonlySet<string> = new Set([
  ...['mount_cgroup', 'process_of_host', 'modprobe_path', 'sysrq', 'binfmt_misc', 'uevent_helper', 'apparmor', 'release_agent'],
  ...[
    'kcore',
    'dev_mem',
    'dev_kmsg',
    'dev_kvm',
    'dev_fuse',
    'dev_loop',
    'disks',
    'make_device',
    'make_disk',
    'debugfs',
    'efivars',
  ],
  ...['firmware', 'kexec', 'load_module', 'load_module_file', 'unload_module', 'add_interface', 'tunnel_device', 'vm_socket'],
  ...['docker_resolver', 'route_ipv6', 'route_to_metadata_ipv6', 'tcp_to_host_ipv6', 'kernel_key_list', 'perf_events', 'bpf'],
]);

type ProvedCase = EscapeCase<ProvedTarget>;

const inside: readonly ProvedCase[] = [...INSIDE_PROBES, ...CREDENTIAL_PROBES]
  .filter(({ finding }) => !WITHOUT_TWIN.has(finding))
  .map((probe) => ({
    ...storyOf(probe),
    async run({ ground, twins }) {
      const observed = await probe.run(ground.inside);
      const unguarded = await Promise.all(twins.map((twin) => probe.run(twin)));
      const got = unguarded.find((one) => !one.held);
      const worked = observed.control.worked && got !== undefined;
      return { ...observed, control: { worked, how: `an unguarded twin gets through: ${(got ?? unguarded[0])?.seen}` } };
    },
  }));

function storyOf(probe: Omit<Probe<never>, 'run'> & { readonly finding?: string }): Omit<ProvedCase, 'run'> {
  const { name, attempt, expected } = probe;
  return { row: rowOf(probe), name, attempt, expected };
}

const on = <G>(probes: readonly Probe<G>[], part: (ground: Ground) => G): ProvedCase[] =>
  probes.map((probe) => ({ ...storyOf(probe), run: ({ ground }) => probe.run(part(ground)) }));

export const CASES: readonly ProvedCase[] = [
  ...inside,
  ...on(doorProbes(operatorRules(OPERATOR)), ({ door }) => door),
  ...on(DOOR_PROCESS_PROBES, ({ process }) => process),
  // What fills disks comes last.
  ...on(LIMITS_PROBES, ({ limits }) => limits),
];
