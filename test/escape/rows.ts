import type { Probe } from '../../src/prove/probe.ts';

type Named = Omit<Probe<never>, 'run'> & { readonly finding?: string };

/** Which row of the threat catalogue a probe belongs to: the first of these that fits. */
const ROWS: readonly (readonly [row: number, fits: (probe: Named) => boolean])[] = [
  // Looks from inside, by the name of their finding.
  ...byFinding(
    1,
    'tcp_to_host',
    'tcp_to_host_ipv6',
    'tcp_to_loopback_of_host',
    'outside_directly',
    'route',
    'route_to_private',
    'routes',
  ),
  ...byFinding(17, 'route_to_metadata', 'route_to_metadata_ipv6'),
  ...byFinding(19, 'abstract_names', 'only_the_door', 'only_the_relay_listens', 'replace_door', 'remove_door', 'second_socket'),
  ...byFinding(19, 'route_to_bridge'),
  ...byFinding(
    25,
    'kernel',
    'kernel_symbols',
    'userfaultfd',
    'io_uring',
    'kernel_keys',
    'core_pattern',
    'overcommit',
    'ip_forward',
  ),
  ...byFinding(35, 'read_shadow'),
  ...byFinding(36, 'file_of_host', 'process_of_host', 'memory_of_init', 'read_memory_of_init', 'root_of_init'),
  [18, ({ class: kind, finding }) => finding !== undefined && (kind === 'network' || kind === 'dns')],
  [19, ({ class: kind }) => kind === 'sockets'],
  [26, ({ class: kind }) => kind === 'escape'],
  [35, ({ class: kind, finding }) => kind === 'credentials' && finding !== undefined],
  // What is said to the door, by name.
  [2, ({ name }) => name.startsWith('address ')],
  [17, ({ class: kind }) => kind === 'metadata'],
  [15, ({ name }) => name.startsWith('listed, but at ')],
  [18, ({ class: kind }) => kind === 'dns'],
  [3, ({ name }) => name.startsWith('one spelling') || name.includes('xn--')],
  [5, ({ name }) => name.startsWith('name ')],
  [8, ({ name }) => name.startsWith('port ')],
  [22, ({ name }) => name.startsWith('method ') || name.startsWith('publish ')],
  [13, ({ name }) => name.startsWith('echo by ') || name.endsWith('used and not told')],
  [20, ({ name }) => name.startsWith('own credential')],
  [21, ({ name }) => name.startsWith('path ') || name.startsWith('git ') || name === 'a push'],
  [14, ({ name }) => name.includes('redirect')],
  [9, ({ name }) => /TLS (?:name|hello)/.test(name)],
  [10, ({ name }) => name.startsWith('an') && name.includes('inner')],
  [11, ({ name }) => /^SSH|^plain http in/.test(name)],
  [7, ({ name }) => / in (?:setup|set-up|agent|verify|shut|the clean room)$/.test(name) || name.startsWith('the model')],
  [4, ({ attempt }) => attempt.startsWith('CONNECT to "')],
  [1, ({ name }) => name.includes('over plain http')],
  // A sandbox's limits.
  [27, ({ name }) => /fork bomb|descriptors|more |processor|core dumps/.test(name)],
  [29, ({ name }) => /^fill |flood of files/.test(name)],
  [30, ({ name }) => /output|huge line/.test(name)],
  [31, ({ name }) => name === 'a daemon'],
  [32, ({ name }) => name.startsWith('a command that')],
  [28, ({ name }) => name === 'all memory'],
  // The door's process holds credentials that the sandbox must not get.
  [35, ({ class: kind }) => kind === 'door'],
  [12, ({ class: kind }) => kind === 'egress'],
];

function byFinding(row: number, ...findings: string[]): (readonly [number, (probe: Named) => boolean])[] {
  return [[row, ({ finding }) => finding !== undefined && findings.includes(finding)]];
}

/** @throws Error for a probe without a row. */
export function rowOf(probe: Named): number {
  const found = ROWS.find(([, fits]) => fits(probe));
  if (found === undefined) throw new Error(`${probe.class}: ${probe.name} has no row`);
  return found[0];
}
