/**
 * The suite can fail: sandboxes and doors that were weakened on purpose, here and nowhere in the product, make the cases
 * fail that are named, and no others.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type Docker from 'dockerode';
import type { DoorDecision } from '../../src/door/door.ts';
import type { EgressRule, InspectRule } from '../../src/policy/egress.ts';
import { SandboxLimits } from '../../src/policy/limits.ts';
import { conversationsOf, type DoorGround, talkToDoor } from '../../src/prove/door-ground.ts';
import { type LookInside, lookInside, RELAY_PORT } from '../../src/prove/inside-ground.ts';
import { reachForLimits } from '../../src/prove/limits-ground.ts';
import { type Outside, openOutside } from '../../src/prove/outside.ts';
import { doorProbes } from '../../src/prove/probes-door.ts';
import { CREDENTIAL_PROBES, INSIDE_PROBES } from '../../src/prove/probes-inside.ts';
import { containerOptions } from '../../src/sandbox/container-options.ts';
import { openDocker } from '../../src/sandbox/docker.ts';
import { thisProcess } from '../../src/sandbox/owner.ts';
import type { Sandbox, SandboxSpec } from '../../src/sandbox/sandbox.ts';
import { DOCKER_SOCKET, docker } from './docker.ts';
import { EngineSandbox } from './engine-sandbox.ts';
import { asItIs, configurationOf, type OpenDoor, withoutNameCheck } from './weak-door.ts';

const MiB = 1024 * 1024;
const IMAGE = 'coatcheck-runner:latest';
const AGENT = '1000:1000';
const credential = `canary-${randomBytes(18).toString('hex')}`;
const directory = mkdtempSync(join(tmpdir(), 'coatcheck-weakened-'));
chmodSync(directory, 0o755);
after(() => rmSync(directory, { recursive: true, force: true }));
let outside: Outside;
before(async () => {
  outside = await openOutside(directory);
});
after(() => outside.close());

const spec = (doorDirectory: string | null): SandboxSpec => ({
  image: IMAGE,
  runtime: 'runsc',
  limits: SandboxLimits.parse({
    memoryBytes: 640 * MiB,
    workBytes: 128 * MiB,
    tmpBytes: 64 * MiB,
    processes: 64,
    openFiles: 512,
  }),
  doorDirectory,
  capabilities: [],
  services: [],
  onKernel: () => {},
  labels: { task: 'weakened', attempt: '1', purpose: 'work' },
});

type Options = Docker.ContainerCreateOptions & { HostConfig: Docker.HostConfig };

/** The product's own description of a container, before it is weakened. */
async function described(): Promise<Options> {
  const { Id } = await docker.getImage(IMAGE).inspect();
  const options = containerOptions(spec(null), Id, thisProcess({ deployment: 'weakened', host: 'weakened' }), null);
  // As after `trust`.
  const Env = [...(options.Env ?? []), 'SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt'];
  return { ...options, Env, HostConfig: options.HostConfig ?? {} };
}

const host = (options: Options, change: Docker.HostConfig): Options => ({
  ...options,
  HostConfig: { ...options.HostConfig, ...change },
});

interface Weakening {
  readonly name: string;
  readonly weaken: (options: Options) => Options;
  /** Who runs the attempts, when it is not the agent. */
  readonly user?: string;
  readonly programs: readonly ('escape' | 'network' | 'credentials')[];
  /** Findings that must fail, beside which all others of the programs hold. */
  readonly fails: readonly string[];
  /** Findings of which it depends on the host's kernel. */
  readonly may?: readonly string[];
}

/** What gVisor lacks and this or that kernel of a host has, or shows. */
const KERNELS = ['io_uring', 'userfaultfd', 'kernel_symbols', 'kernel_keys', 'perf_events', 'writable_mounts'];
const ROOT = ['become_root', 'read_shadow', 'user'];
/** Without a host behind them inside gVisor, and root may open them there. */
const OF_ITS_OWN_KERNEL = ['cgroup_of_own', 'sysrq', 'ip_forward', 'overcommit', 'protect_from_oom', 'user_namespace'];
const MOUNTS = ['chroot', 'mount_bind', 'mount_namespace', 'mount_proc', 'mount_tmpfs', 'pivot_root', 'remount_root', 'unmount'];
const ROUTES = ['interfaces', 'name_servers', 'resolve', 'route', 'route_to_metadata', 'route_to_private', 'routes'];
const PLACES = ['broadcast', 'multicast', 'ping', 'route_ipv6', 'route_to_bridge', 'route_to_metadata_ipv6', 'tcp_to_host_ipv6'];

const WEAKENINGS: readonly Weakening[] = [
  { name: 'nothing', weaken: (options) => options, programs: ['escape', 'network', 'credentials'], fails: [] },
  {
    name: 'plain runc, and new privileges',
    weaken: (options) => host(options, { Runtime: 'runc', SecurityOpt: [] }),
    programs: ['escape'],
    fails: ['kernel', 'no_new_privileges'],
    may: KERNELS,
  },
  {
    name: 'a bridge network',
    weaken: (options) => host(options, { Runtime: 'runc', NetworkMode: 'bridge' }),
    programs: ['network'],
    fails: [...ROUTES, 'tcp_to_host'],
    // Over a bridge an answer may come from another of the host's addresses than was asked.
    may: [...PLACES, 'udp_to_host'],
  },
  {
    name: 'the host’s network',
    weaken: (options) => host(options, { Runtime: 'runc', NetworkMode: 'host' }),
    programs: ['network'],
    fails: [...ROUTES, 'tcp_to_host', 'udp_to_host', 'tcp_to_loopback_of_host', 'outside_directly', 'abstract_socket'],
    may: [...PLACES, 'abstract_names', 'only_the_relay_listens', 'docker_resolver'],
  },
  {
    name: 'a root user',
    weaken: (options) => options,
    user: '0:0',
    programs: ['escape'],
    fails: ROOT,
    may: OF_ITS_OWN_KERNEL,
  },
  {
    name: 'capabilities, and root to have them',
    weaken: (options) => ({ ...host(options, { CapDrop: [], CapAdd: ['SYS_ADMIN'] }), User: '0:0' }),
    user: '0:0',
    programs: ['escape'],
    fails: [
      ...ROOT,
      ...MOUNTS,
      'capabilities',
      'become_relay',
      'drop_groups',
      'host_name',
      'join_mount_namespace',
      'signal_init',
    ],
    may: [
      ...OF_ITS_OWN_KERNEL,
      ...['join_network_namespace', 'network_namespace', 'setuid_programs', 'signal_relay', 'writable_mounts', 'write_run'],
    ],
  },
  {
    name: 'a writable root, and root to write it',
    weaken: (options) => host(options, { ReadonlyRootfs: false }),
    user: '0:0',
    programs: ['escape'],
    fails: [
      ...ROOT,
      ...[
        'hard_link',
        'link_race',
        'writable_mounts',
        'write_etc',
        'write_passwd',
        'write_root',
        'write_through_link',
        'write_usr',
      ],
    ],
    may: OF_ITS_OWN_KERNEL,
  },
  {
    name: 'Docker’s socket',
    weaken: (options) => host(options, { Binds: [`${DOCKER_SOCKET}:${DOCKER_SOCKET}`] }),
    user: '0:0',
    programs: ['network'],
    fails: ['docker_socket'],
    may: ['only_the_door'],
  },
  {
    name: 'a folder of the host',
    weaken: (options) => host(options, { Binds: [`${directory}:${directory}`] }),
    programs: ['escape'],
    fails: ['file_of_host', 'writable_mounts'],
  },
  {
    name: 'a secret in its environment',
    weaken: (options) => ({ ...options, Env: [...(options.Env ?? []), `DEPLOY_TOKEN=${credential}`] }),
    programs: ['credentials'],
    fails: ['environment_names', 'environments'],
  },
];

const byProgram = (finding: string, programs: readonly string[]): boolean => {
  const credentials = CREDENTIAL_PROBES.some((probe) => probe.finding === finding);
  const probe = INSIDE_PROBES.find((one) => one.finding === finding);
  const program = credentials ? 'credentials' : probe?.class === 'escape' ? 'escape' : 'network';
  return programs.includes(program);
};

/** Names of the findings that did not hold. */
async function failing(look: LookInside, programs: readonly string[]): Promise<string[]> {
  const ground = lookInside(look);
  const failed: string[] = [];
  for (const probe of [...INSIDE_PROBES, ...CREDENTIAL_PROBES]) {
    if (!byProgram(probe.finding, programs)) continue;
    const { held, control } = await probe.run(ground);
    if (!held || !control.worked) failed.push(probe.finding);
  }
  return failed.sort();
}

describe('a sandbox that was weakened by', () => {
  for (const { name, weaken, user, programs, fails, may = [] } of WEAKENINGS) {
    test(name, { timeout: 60_000 }, async (t) => {
      const sandbox = await EngineSandbox.start(t, weaken(await described()), user ?? AGENT);
      const failed = await failing({ sandbox, outside, secrets: { credential }, listens: [RELAY_PORT] }, programs);
      assert.deepEqual(
        failed.filter((finding) => !may.includes(finding)),
        [...fails].sort(),
      );
    });
  }
});

test('a sandbox without a limit of processes lets a fork bomb go on', { timeout: 60_000 }, async (t) => {
  const { limits } = spec(null);
  const bombed = async (weaken: (options: Options) => Options) => {
    // Under runc: gVisor itself may hang or end before a bomb without a limit does.
    const options = host(await described(), { Runtime: 'runc' });
    const sandbox = await EngineSandbox.start(t, weaken(options), AGENT);
    const nothing = () => Promise.reject(new Error('not asked for'));
    // The product's own commands get the task's limit; this user has what the container has.
    const ground = reachForLimits({ sandbox, limits: { ...limits, processes: 80 }, freeOnHost: nothing, toDestroy: nothing });
    return (await ground.finding('processes')).stopped;
  };
  const without = { Ulimits: [{ Name: 'nofile', Soft: 4096, Hard: 4096 }] };
  assert.deepEqual([await bombed((options) => options), await bombed((options) => host(options, without))], [true, false]);
});

describe('a door that was weakened by', () => {
  const doorDirectory = join(directory, 'door');
  const driver = openDocker({ socketPath: DOCKER_SOCKET, owner: { deployment: `weakened-${process.pid}`, host: 'weakened' } });
  after(() => driver.close());
  const probes = doorProbes([]);
  let sandbox: Sandbox;
  before(async () => {
    mkdirSync(doorDirectory);
    sandbox = await driver.create(spec(doorDirectory), new AbortController().signal);
  });

  /** Names of the probes of a round that did not hold with this door. */
  async function failingAt(open: OpenDoor, alter: (rules: EgressRule[]) => EgressRule[]): Promise<string[]> {
    const rows: DoorDecision[] = [];
    const door = await open(configurationOf(doorDirectory, outside, credential, alter), (row) => void rows.push(row));
    try {
      const modelKey = `canary-${randomBytes(18).toString('hex')}`;
      const conversations = conversationsOf(probes);
      const ground: DoorGround = talkToDoor({ sandbox, door, rows, outside, modelKey, credential, conversations });
      const failed: string[] = [];
      for (const probe of probes) {
        const { held, control } = await probe.run(ground);
        assert.ok(control.worked, `${probe.name}: ${control.how}`);
        if (!held) failed.push(probe.name);
      }
      return failed;
    } finally {
      await door.close();
    }
  }

  const inspecting = (change: Partial<InspectRule>) => (rules: EgressRule[]) =>
    rules.map((rule) => (rule.how === 'inspect' ? { ...rule, ...change } : rule));
  const of = (test: (name: string) => boolean): string[] => probes.map(({ name }) => name).filter(test);
  const outward = probes.filter(({ round }) => round === 'outward').map(({ name }) => name);

  const DOORS: readonly (readonly [string, OpenDoor, (rules: EgressRule[]) => EgressRule[], readonly string[]])[] = [
    ['nothing', asItIs, (rules) => rules, []],
    [
      'no check of the TLS name',
      withoutNameCheck,
      (rules) => rules,
      ['another TLS name', 'no TLS name', 'another TLS name in pieces'],
    ],
    [
      'every private network opened',
      asItIs,
      inspecting({ privateAddresses: ['0.0.0.0/0', '::/0'] }),
      // Names of other machines are not even asked for once a name of this one got through.
      [...of((name) => name.startsWith('listed, but at ')), ...outward],
    ],
    [
      'every method',
      asItIs,
      inspecting({ methods: ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND'] }),
      of((name) => name.startsWith('method ')),
    ],
    ['every path', asItIs, inspecting({ paths: ['/'] }), ['path /', 'path /other', 'path /openly', 'path //open']],
    [
      'every phase, and for ever',
      asItIs,
      inspecting({ phases: ['setup', 'agent', 'verify'], expires: undefined }),
      [
        'name expired.canary.test',
        'the permitted host in agent',
        'the permitted host in verify',
        'the agent’s host in set-up',
        'the agent’s host in the clean room',
      ],
    ],
    [
      'a rule for whatever is below the domain',
      asItIs,
      (rules) => [...rules, ...rules.flatMap((rule) => (rule.id === 'prove:open' ? [{ ...rule, host: '*.canary.test' }] : []))],
      [
        ...['elsewhere', 'evilsink', 'expired', 'wild', 'xn--snk-pla'].map((label) => `name ${label}.canary.test`),
        ...['the agent’s host in set-up', 'the second hop of a redirect'],
      ],
    ],
  ];
  for (const [name, open, alter, fails] of DOORS) {
    test(name, { timeout: 60_000 }, async () => {
      const failed = await failingAt(open, alter);
      assert.deepEqual(failed.sort(), [...new Set(fails)].sort());
    });
  }
});
