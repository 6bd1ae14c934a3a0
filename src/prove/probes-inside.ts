import type { InsideGround } from './inside-ground.ts';
import type { Probe, ProbeClass } from './probe.ts';

type InsideProbe = Probe<InsideGround> & { readonly finding: string };
/** [name of the finding, name of the probe, what is attempted] */
type Row = readonly [finding: string, name: string, attempt: string];

const EXPECTED = 'the kernel inside refuses, or there is no such thing';

function probes(program: 'escape' | 'network', kind: ProbeClass, expected: string, rows: readonly Row[]): InsideProbe[] {
  return rows.map(([finding, name, attempt]) => ({
    ...{ class: kind, name, attempt, expected, finding },
    async run(ground) {
      const { stopped, seen } = await ground.finding(program, finding);
      // The program says how each attempt ended; one of which it says nothing has not held.
      return { held: stopped, seen, control: { worked: true, how: 'the attempt was made, and the kernel answered it' } };
    },
  }));
}

const ESCAPE = probes('escape', 'escape', EXPECTED, [
  ['mount_tmpfs', 'mount a tmpfs', 'mount(2)'],
  ['mount_proc', 'mount a proc', 'mount(2)'],
  ['mount_cgroup', 'mount a cgroup hierarchy', 'mount(2), the first step to a release_agent of one’s own'],
  ['mount_bind', 'bind the root elsewhere', 'mount(2) with MS_BIND'],
  ['remount_root', 'remount the root writable', 'mount(2) with MS_REMOUNT'],
  ['unmount', 'take a mount away', 'umount2(2) with MNT_DETACH'],
  ['pivot_root', 'change the root for all', 'pivot_root(2)'],
  ['new_mount_api', 'open a file system by the new calls', 'fsopen(2)'],
  ['chroot', 'change the root', 'chroot(2)'],
  ['mount_namespace', 'a mount namespace of one’s own', 'unshare(2) with CLONE_NEWNS'],
  ['network_namespace', 'a network namespace of one’s own', 'unshare(2) with CLONE_NEWNET'],
  ['user_namespace', 'become root in a user namespace and write the root', 'unshare(2), remount, create a file in /etc'],
  ['join_mount_namespace', 'join the first process’s mounts', 'setns(2) on /proc/1/ns/mnt'],
  ['join_network_namespace', 'join the first process’s network', 'setns(2) on /proc/1/ns/net'],
  ['signal_init', 'signal the first process', 'kill(1, 0)'],
  ['signal_relay', 'signal the relay', 'kill(2) on processes of another user'],
  ['ptrace_init', 'trace the first process', 'ptrace(2) with PTRACE_SEIZE'],
  ['ptrace_relay', 'trace the relay', 'ptrace(2) with PTRACE_SEIZE'],
  ['memory_of_init', 'open the first process’s memory', 'open /proc/1/mem for writing'],
  ['read_memory_of_init', 'read the first process’s memory', 'process_vm_readv(2)'],
  ['root_of_init', 'look through the first process’s root', 'list /proc/1/root'],
  ['program_of_init', 'overwrite the first process’s program', 'open /proc/1/exe for writing'],
  ['process_of_host', 'see a process of the host', 'read /proc/PID/cmdline by a number known outside'],
  ['core_pattern', 'a program for core dumps', 'open /proc/sys/kernel/core_pattern for writing'],
  ['modprobe_path', 'a program for missing modules', 'open /proc/sys/kernel/modprobe for writing'],
  ['sysrq', 'the system request trigger', 'open /proc/sysrq-trigger for writing'],
  ['overcommit', 'the host’s memory policy', 'open /proc/sys/vm/overcommit_memory for writing'],
  ['ip_forward', 'the host’s forwarding', 'open /proc/sys/net/ipv4/ip_forward for writing'],
  ['binfmt_misc', 'a program for file formats', 'open /proc/sys/fs/binfmt_misc/register for writing'],
  ['uevent_helper', 'a program for device events', 'open /sys/kernel/uevent_helper for writing'],
  ['apparmor', 'load a security profile', 'open apparmor/.load for writing'],
  ['protect_from_oom', 'shield the first process from the killer', 'open /proc/1/oom_score_adj for writing'],
  ['release_agent', 'a program for empty cgroups', 'open a release_agent for writing'],
  ['cgroup_of_own', 'a cgroup without limits', 'mkdir below /sys/fs/cgroup'],
  ['kcore', 'the kernel’s memory', 'read /proc/kcore'],
  ['dev_mem', 'physical memory', 'read /dev/mem'],
  ['dev_kmsg', 'the host’s kernel log', 'read /dev/kmsg'],
  ['dev_kvm', 'the host’s virtual machines', 'open /dev/kvm'],
  ['dev_fuse', 'file systems of one’s own', 'open /dev/fuse'],
  ['dev_loop', 'loop devices', 'open /dev/loop-control'],
  ['disks', 'the host’s disks', 'look for block devices in /dev'],
  ['make_device', 'a node for physical memory', 'mknod(2) 1:1 and open it'],
  ['make_disk', 'a node for a disk', 'mknod(2) 7:0 and open it'],
  ['firmware', 'the firmware’s tables', 'read /sys/firmware/acpi/tables/DSDT'],
  ['debugfs', 'the kernel’s debug files', 'read /sys/kernel/debug'],
  ['efivars', 'the firmware’s variables', 'read /sys/firmware/efi/efivars'],
  ['kernel_symbols', 'the kernel’s addresses', 'read /proc/kallsyms'],
  ['kexec', 'another kernel', 'kexec_load(2)'],
  ['reboot', 'restart the machine', 'reboot(2) with numbers that mean nothing'],
  ['load_module', 'a kernel module', 'init_module(2)'],
  ['load_module_file', 'a kernel module from a file', 'finit_module(2)'],
  ['unload_module', 'take a kernel module away', 'delete_module(2)'],
  ['bpf', 'a program in the kernel', 'bpf(2)'],
  ['perf_events', 'the processor’s counters', 'perf_event_open(2)'],
  ['swap', 'a swap file', 'swapon(2)'],
  ['accounting', 'process accounting', 'acct(2)'],
  ['open_by_handle', 'open files by number, past their folders', 'open_by_handle_at(2)'],
  ['host_name', 'another host name', 'sethostname(2)'],
  ['userfaultfd', 'handle page faults', 'userfaultfd(2)'],
  ['io_uring', 'asynchronous system calls', 'io_uring_setup(2)'],
  ['kernel_keys', 'the kernel’s key store', 'keyctl(2)'],
  ['become_root', 'become root', 'setresuid(0)'],
  ['become_relay', 'become the relay’s user', 'setresuid(990)'],
  ['drop_groups', 'join the group of root', 'setgroups(2)'],
  ['setuid_programs', 'programs that run as root', 'su, sudo, mount, newgrp, pkexec'],
  ['write_root', 'write into /', 'create a file'],
  ['write_etc', 'write into /etc', 'create a file'],
  ['write_usr', 'write into /usr/bin', 'create a file'],
  ['write_run', 'write into /run', 'create a file'],
  ['write_door', 'write beside the door’s socket', 'create a file in /run/coatcheck'],
  ['write_trust', 'write beside the trusted authorities', 'create a file in /run/trust'],
  ['write_passwd', 'change the accounts', 'open /etc/passwd for writing'],
  ['write_authorities', 'change the trusted authorities', 'open the bundle for writing'],
  ['write_through_link', 'write through a symbolic link', 'a link to /etc/shadow, opened for writing'],
  ['hard_link', 'a hard link to the passwords', 'link(2) on /etc/shadow'],
  ['read_shadow', 'read the passwords', 'open /etc/shadow'],
  ['link_race', 'win a race with a link', '300 opens for writing while a link flips to /etc/passwd'],
  ['replace_door', 'move the door’s socket away', 'rename(2)'],
  ['remove_door', 'remove the door’s socket', 'unlink(2)'],
  ['second_socket', 'a second socket beside the door’s', 'bind(2) in /run/coatcheck'],
  ['file_of_host', 'read a file of the host', 'open a path that is there outside'],
]);

const IDENTITY = [
  ...probes('escape', 'escape', 'gVisor, and not the host’s kernel, answers', [
    ['kernel', 'it is really gVisor', 'read the kernel’s log'],
  ]),
  ...probes('escape', 'escape', 'all five sets are empty', [['capabilities', 'no capability', 'read /proc/self/status']]),
  ...probes('escape', 'escape', 'it is set', [['no_new_privileges', 'no new privileges', 'prctl(PR_GET_NO_NEW_PRIVS)']]),
  ...probes('escape', 'escape', 'an unprivileged user without other groups', [['user', 'nobody special', 'getuid, getgroups']]),
  ...probes('escape', 'escape', 'only the sandbox’s own memory file systems', [
    ['writable_mounts', 'what can be written', 'read /proc/mounts'],
  ]),
];

const NETWORK = [
  ...probes('network', 'network', 'unreachable, and no listener of the host was touched', [
    ['tcp_to_host', 'TCP to the host’s own addresses', 'a listener on 0.0.0.0 asked at each of them'],
    ['tcp_to_host_ipv6', 'TCP over IPv6 to the host', 'a listener on :: asked at each address'],
    ['tcp_to_loopback_of_host', 'TCP to the host’s loopback', 'a listener on 0.0.0.0 asked at 127.0.0.1 and its like'],
    ['udp_to_host', 'UDP to the host', 'a datagram to a listener on 0.0.0.0'],
    ['outside_directly', 'a listed host past the door', 'the permitted host’s own port asked without the proxy'],
  ]),
  ...probes('network', 'network', 'there is no route', [
    ['route', 'a route to the outside', 'connect(2) on a datagram socket, which sends nothing'],
    ['route_ipv6', 'a route over IPv6', 'connect(2) on a datagram socket'],
    ['route_to_private', 'a route to private networks', 'connect(2) towards 10/8, 172.16/12, 192.168/16 and 100.64/10'],
    ['route_to_bridge', 'a route to Docker’s bridge', 'connect(2) towards 172.17.0.1'],
    ['broadcast', 'a broadcast', 'connect(2) on a datagram socket towards 255.255.255.255'],
    ['multicast', 'a multicast', 'connect(2) on a datagram socket towards 224.0.0.251'],
    ['routes', 'the routing table', 'read /proc/net/route'],
  ]),
  ...probes('network', 'network', 'loopback alone', [['interfaces', 'network interfaces', 'if_nameindex(3)']]),
  ...probes('network', 'network', EXPECTED, [
    ['raw_socket', 'a raw socket', 'socket(2) with SOCK_RAW'],
    ['raw_socket_ipv6', 'a raw socket over IPv6', 'socket(2) with SOCK_RAW'],
    ['packet_socket', 'a socket below IP', 'socket(2) with AF_PACKET'],
    ['ping', 'ICMP to the host', 'an echo request'],
    ['add_interface', 'an interface of one’s own', 'RTM_NEWLINK'],
    ['add_address', 'an address of one’s own', 'RTM_NEWADDR'],
    ['add_route', 'a route of one’s own', 'RTM_NEWROUTE'],
    ['tunnel_device', 'a tunnel device', 'TUNSETIFF on /dev/net/tun'],
    ['vm_socket', 'a socket to the machine below', 'connect(2) with AF_VSOCK'],
  ]),
  ...probes('network', 'metadata', 'there is no route', [
    ['route_to_metadata', 'a route to the cloud’s metadata', 'connect(2) on a datagram socket towards 169.254.169.254'],
    ['route_to_metadata_ipv6', 'a route to it over IPv6', 'connect(2) towards fd00:ec2::254'],
  ]),
  ...probes('network', 'dns', 'no answer, and no question leaves', [
    ['name_servers', 'the configured name servers', 'a route to each that resolv.conf names'],
    ['docker_resolver', 'Docker’s resolver', 'a question to 127.0.0.11'],
    ['resolve', 'the system’s resolver', 'getaddrinfo of canary.test'],
  ]),
  ...probes('network', 'sockets', EXPECTED, [
    ['abstract_socket', 'an abstract socket of the host', 'connect(2) to a name on which the host listens'],
    ['socket_of_host', 'a Unix socket of the host', 'connect(2) to a path at which the host listens'],
    ['docker_socket', 'Docker’s socket', 'a ping at its usual paths'],
    ['containerd_socket', 'containerd’s socket', 'connect(2) at its usual paths'],
    ['other_engines', 'other engines’ sockets', 'CRI-O, Podman, BuildKit at their usual paths'],
    ['system_bus', 'the host’s system bus and journal', 'connect(2) at their usual paths'],
    ['agent_sockets', 'agents that hold keys', 'ssh-agent, gpg-agent, session bus'],
  ]),
  ...probes('network', 'sockets', 'the door’s, and no other', [
    ['only_the_door', 'sockets in the file system', 'look through every folder that could hold one'],
  ]),
  ...probes('network', 'sockets', 'the relay, and no other', [
    ['only_the_relay_listens', 'who listens inside', 'read /proc/net/tcp'],
  ]),
  ...probes('network', 'sockets', 'none', [['abstract_names', 'abstract names inside', 'read /proc/net/unix']]),
];

export const INSIDE_PROBES: readonly InsideProbe[] = [...IDENTITY, ...ESCAPE, ...NETWORK];

/** [name of the finding, name of the probe, what is attempted, what is expected] */
const CREDENTIAL_ROWS: readonly (readonly [string, string, string, string])[] = [
  ['environment_names', 'names in the environment', 'read it', 'only the names that a sandbox is given'],
  ['environments', 'the environments of all processes', 'read /proc/*/environ', 'none of the secrets in play'],
  ['command_lines', 'the command lines of all processes', 'read /proc/*/cmdline', 'none of the secrets in play'],
  ['files', 'files', 'read every file that a run or an image could have put there', 'none of the secrets in play'],
  ['private_keys', 'private keys', 'look for PEM headers', 'none; the authority’s key least of all'],
  ['credential_files', 'credential files', 'look for .netrc, .git-credentials, .npmrc, SSH keys and their like', 'none'],
  ['token_shapes', 'tokens by their shape', 'look for GitHub’s, model vendors’ and our own', 'none'],
  ['kernel_key_list', 'keys in the kernel', 'read /proc/keys', 'none'],
  ['authority', 'the task’s authority', 'read the bundle that programs trust', 'certificates and no key'],
];

/** Searches whose control is a value that was put there to be found. */
export const CREDENTIAL_PROBES: readonly InsideProbe[] = CREDENTIAL_ROWS.map(([finding, name, attempt, expected]) => ({
  ...{ class: 'credentials', name, attempt, expected, finding },
  async run(ground) {
    const { stopped, seen } = await ground.finding('credentials', finding);
    const control = await ground.finding('credentials', 'control');
    return { held: stopped, seen, control: { worked: control.stopped, how: `a planted value was found: ${control.seen}` } };
  },
}));
