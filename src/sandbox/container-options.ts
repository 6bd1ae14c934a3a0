import type Docker from 'dockerode';
import { CoatcheckError } from '../errors.ts';
import { hostnameOf, labelsOf, type Owner } from './owner.ts';
import { REGISTERED } from './runtimes.ts';
import type { SandboxSpec } from './sandbox.ts';

/** Commands run as this user; fixed in the runner image. */
export const AGENT = '1000:1000';
/** Process 1 and the relay run as this user, out of the agent's reach. */
export const RELAY = '990:990';
export const HOME = '/work/home';
const PROXY = 'http://127.0.0.1:3128';

const MiB = 1024 * 1024;
const RUN_BYTES = 8 * MiB;
const SHM_BYTES = 64 * MiB;
/** Left for programs when every tmpfs is full, so that a full disk is ENOSPC and not the end of the sandbox. */
const HEADROOM_BYTES = 128 * MiB;
/** gVisor's host threads count too, and reaching this limit crashes it: only a backstop behind RLIMIT_NPROC. */
const PIDS_BACKSTOP = 4096;

/** Processes beyond the task's limit that only our own execs may start: what kills a fork bomb must itself be able to start. */
const RESERVED_PROCESSES = 16;
/** What the relay needs; commands get the task's own limit when they are started. */
const RELAY_FILES = 4096;

const PROXY_NAMES = ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'];

function environment(hasDoor: boolean): string[] {
  return [
    `HOME=${HOME}`,
    'USER=agent',
    'LANG=C.UTF-8',
    'TMPDIR=/tmp',
    'CI=true',
    `npm_config_cache=${HOME}/.npm`,
    `PIP_CACHE_DIR=${HOME}/.cache/pip`,
    // A name without `=` takes away what the image sets: without a door a proxy would only mislead.
    ...PROXY_NAMES.map((name) => (hasDoor ? `${name}=${PROXY}` : name)),
    'NO_PROXY=localhost,127.0.0.1,::1',
    'no_proxy=localhost,127.0.0.1,::1',
  ];
}

/** Bytes of all tmpfs must leave room below the memory limit, as they count towards it. */
function checkSizes({ memoryBytes, workBytes, workIn, tmpBytes }: SandboxSpec['limits']): void {
  const disks = (workIn === 'memory' ? workBytes : 0) + tmpBytes + RUN_BYTES + SHM_BYTES;
  if (disks + HEADROOM_BYTES <= memoryBytes) return;
  throw new CoatcheckError(
    'sandbox_limits',
    `The sandbox's disks (${disks} bytes) and ${HEADROOM_BYTES} bytes of headroom do not fit into memoryBytes ${memoryBytes}.`,
    'Raise sandbox.memoryBytes or lower sandbox.workBytes or sandbox.tmpBytes.',
  );
}

/**
 * What Docker is asked for, from what a task may have; pure. Nothing of the host is seen inside but the door's directory.
 * @param imageId the image's own id (`sha256:…`), never a tag: a tag may move between check and start.
 * @param workDisk the host's directory with the work disk mounted; null where the work tree is in memory.
 * @throws CoatcheckError `sandbox_limits` when the sizes cannot hold together.
 */
export function containerOptions(
  spec: SandboxSpec,
  imageId: string,
  owner: Owner,
  workDisk: string | null,
): Docker.ContainerCreateOptions {
  const { limits, doorDirectory } = spec;
  checkSizes(limits);
  const openFiles = Math.max(limits.openFiles, RELAY_FILES);
  const processes = limits.processes + RESERVED_PROCESSES;
  return {
    Image: imageId,
    Hostname: hostnameOf(owner.deployment),
    User: RELAY,
    // The image's own working directory lies under a tmpfs and would be missing.
    WorkingDir: '/',
    Env: environment(doorDirectory !== null),
    Labels: labelsOf(owner, spec.labels),
    StopTimeout: 1,
    HostConfig: {
      Runtime: spec.runtime === 'runc' ? REGISTERED.runc : REGISTERED.runsc,
      NetworkMode: 'none',
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      IpcMode: 'private',
      PidsLimit: PIDS_BACKSTOP,
      Memory: limits.memoryBytes,
      MemorySwap: limits.memoryBytes,
      NanoCpus: Math.round(limits.cpus * 1e9),
      ShmSize: SHM_BYTES,
      Ulimits: [
        { Name: 'nproc', Soft: processes, Hard: processes },
        { Name: 'nofile', Soft: openFiles, Hard: openFiles },
        { Name: 'core', Soft: 0, Hard: 0 },
      ],
      // Tool chains build and run programs in both /work and /tmp, so these two may execute.
      Tmpfs: {
        ...(workDisk === null ? { '/work': `rw,exec,nosuid,nodev,size=${limits.workBytes},uid=1000,gid=1000,mode=0755` } : {}),
        '/tmp': `rw,exec,nosuid,nodev,size=${limits.tmpBytes},mode=1777`,
        '/run': `rw,noexec,nosuid,nodev,size=${RUN_BYTES},uid=990,gid=990,mode=0755`,
      },
      Binds: [
        ...(doorDirectory === null ? [] : [`${doorDirectory}:/run/coatcheck:ro`]),
        ...(workDisk === null ? [] : [`${workDisk}:/work:rw`]),
      ],
      LogConfig: { Type: 'none', Config: {} },
      RestartPolicy: { Name: 'no' },
      AutoRemove: false,
    },
  };
}
