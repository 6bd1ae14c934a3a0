import { dirname } from 'node:path';
import type { CageOptions } from './cage.ts';
import type { CageTools } from './tools.ts';

/** The unprivileged user and group inside a cage when the caller names none. No account on the host has this number. */
export const CAGE_UID = 64901;

/** Space in the cage's own /tmp and /dev/shm is memory; this much of it and no more. */
const TMP_BYTES = 16 * 1024 * 1024;

/** What a program needs of /etc to load its libraries, check certificates and, with a network, resolve names. */
const SYSTEM_FILES = ['/etc/ld.so.cache', '/etc/alternatives', '/etc/ssl/certs', '/etc/ssl/openssl.cnf'];
const NETWORK_FILES = ['/etc/resolv.conf', '/etc/hosts', '/etc/nsswitch.conf', '/etc/gai.conf', '/etc/services'];

/**
 * The whole command line of a cage: bubblewrap makes the namespaces, prlimit sets the caps, setpriv drops to the
 * unprivileged user, then the command runs.
 *
 * As root there is no user namespace: inside one of its own making, root could not become another user. Without
 * root a user namespace is the only way, and the command keeps the caller's identity on the host.
 * `accountsFd` is read by bubblewrap as the cage's /etc/passwd; `gateFd`, one digit, is a socket to the caller.
 */
export function cageArguments(
  options: CageOptions,
  tools: CageTools,
  how: { readonly asRoot: boolean; readonly accountsFd: number; readonly gateFd: number },
): string[] {
  const uid = String(options.uid ?? CAGE_UID);
  return [
    ...namespaces(options, how.asRoot, uid),
    ...systemView(options.network, how.accountsFd),
    ...binds(options),
    ...['--remount-ro', '/', '--chdir', options.cwd, '--', '/bin/sh', '-c', gate(how.gateFd), 'sh'],
    ...[tools.prlimit, ...limits(options), '--'],
    tools.setpriv,
    ...(how.asRoot ? ['--reuid', uid, '--regid', uid, '--clear-groups', '--bounding-set=-all'] : []),
    ...['--inh-caps=-all', '--ambient-caps=-all', '--no-new-privs', '--'],
    ...options.command,
  ];
}

/**
 * Nothing runs before the caller, told that the cage stands, lets it: bubblewrap killed in its first milliseconds
 * leaves a first process behind that is not yet tied to anybody's life, and which would run on. Whoever is gone
 * cannot open the gate, and its closing ends what waits there.
 */
const gate = (fd: number): string => `echo up >&${fd}; read -r go <&${fd} || exit 75; exec ${fd}>&-; exec "$@"`;

function namespaces(options: CageOptions, asRoot: boolean, uid: string): string[] {
  return [
    ...['--unshare-ipc', '--unshare-pid', '--unshare-uts', '--unshare-cgroup-try', '--die-with-parent', '--new-session'],
    ...(options.network === 'none' ? ['--unshare-net'] : []),
    ...['--hostname', 'cage', '--cap-drop', 'ALL'],
    // setpriv needs these three to drop to the unprivileged user; it drops them with the rest.
    ...(asRoot
      ? ['--cap-add', 'CAP_SETUID', '--cap-add', 'CAP_SETGID', '--cap-add', 'CAP_SETPCAP']
      : ['--unshare-user', '--uid', uid, '--gid', uid]),
  ];
}

function systemView(network: CageOptions['network'], accountsFd: number): string[] {
  const files = network === 'host' ? [...SYSTEM_FILES, ...NETWORK_FILES] : SYSTEM_FILES;
  return [
    ...['--ro-bind', '/usr', '/usr', '--symlink', 'usr/bin', '/bin', '--symlink', 'usr/sbin', '/sbin'],
    ...['--symlink', 'usr/lib', '/lib', '--symlink', 'usr/lib64', '/lib64'],
    ...['--proc', '/proc', '--dev', '/dev', ...tmpfs('/tmp'), ...tmpfs('/dev/shm')],
    ...readableParents(['/etc/passwd', ...files]),
    ...files.flatMap((file) => ['--ro-bind-try', file, file]),
    ...['--perms', '0444', '--ro-bind-data', String(accountsFd), '/etc/passwd'],
  ];
}

const tmpfs = (path: string): string[] => ['--perms', '1777', '--size', String(TMP_BYTES), '--tmpfs', path];

function binds(options: CageOptions): string[] {
  return [
    ...readableParents([...options.readOnly, ...options.writable]),
    ...options.readOnly.flatMap((path) => ['--ro-bind', path, path]),
    ...options.writable.flatMap((path) => ['--bind', path, path]),
  ];
}

/** bubblewrap makes missing parents for its own user only; the unprivileged user has to pass through them. */
function readableParents(paths: readonly string[]): string[] {
  const parents = new Set(paths.flatMap(ancestors));
  const made = [...parents].filter((path) => path !== '/tmp' && path !== '/usr' && !path.startsWith('/usr/'));
  return made.sort().flatMap((path) => ['--perms', '0755', '--dir', path]);
}

function ancestors(path: string): string[] {
  const parent = dirname(path);
  return parent === '/' || parent === '.' ? [] : [...ancestors(parent), parent];
}

/**
 * RLIMIT_DATA and not RLIMIT_AS: V8 reserves gigabytes of address space that it never touches, and the kernel counts
 * private writable memory, anonymous mappings included, against RLIMIT_DATA.
 */
function limits(options: CageOptions): string[] {
  return [
    `--data=${options.memoryBytes}`,
    `--fsize=${options.fileBytes}`,
    `--cpu=${options.cpuSeconds}`,
    '--nofile=4096',
    `--nproc=${PROCESSES}`,
    '--core=0',
  ];
}

/** The kernel counts these per user over the whole host, threads included: it bounds all cages of one uid together. */
const PROCESSES = 1024;
