/** Rows of the sandbox that need more than one of them, or none at all. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { openDocker } from '../../src/sandbox/docker.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import type { EscapeCase } from './cases.ts';
import { DOCKER_SOCKET, docker } from './docker.ts';
import { CANARY, type Neighbours, never, say } from './sandbox-rig.ts';

type SandboxCase = EscapeCase<Neighbours>;

/** [name, what is done, a script that prints `found` where it gets through] */
const LOOKS: readonly (readonly [string, string, string])[] = [
  ['files of another task', 'look for its canary in every folder', `grep -rqs ${CANARY} /work /tmp /dev/shm /run && echo found`],
  ['caches of another task', 'look for its canary in the home', `grep -rqs ${CANARY} $HOME/.npm && echo found`],
  ['processes of another task', 'look for its process', `grep -qs 'neighbour-proces[s]' /proc/[0-9]*/cmdline && echo found`],
  ['abstract sockets of another task', 'connect to a name on which it listens', CONNECT('\\0neighbour')],
  ['the loopback of another task', 'connect to a port on which it listens', CONNECT(7399)],
];

function CONNECT(to: string | number): string {
  const [family, address] = typeof to === 'number' ? ['AF_INET', `('127.0.0.1', ${to})`] : ['AF_UNIX', `'${to}'`];
  return `python3 -c "import socket; socket.socket(socket.${family}).connect(${address}); print('found')" 2>/dev/null`;
}

/** Listens in the first sandbox, and stays while another command looks. */
const LISTEN = `exec -a neighbour-process python3 -c "
import socket, time
a = socket.socket(socket.AF_UNIX); a.bind('\\0neighbour'); a.listen()
b = socket.socket(); b.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); b.bind(('127.0.0.1', 7399)); b.listen()
print('up', flush=True); time.sleep(20)"`;

async function listening<T>(sandbox: Sandbox, look: () => Promise<T>): Promise<T> {
  const up = Promise.withResolvers<void>();
  const stop = new AbortController();
  const running = sandbox.exec({
    ...{ command: ['/bin/bash', '-c', LISTEN], timeoutMs: 20_000, outputLimit: 4096, signal: stop.signal, keep: true },
    onOutput: () => up.resolve(),
  });
  const ended = running.then(
    () => {},
    () => {},
  );
  await Promise.race([up.promise, ended]);
  try {
    return await look();
  } finally {
    stop.abort();
    await ended;
  }
}

const crossTask: readonly SandboxCase[] = LOOKS.map(([name, attempt, script]) => ({
  ...{ row: 36, name, attempt, expected: 'nothing of it is there' },
  async run({ one, other }) {
    const [theirs, own] = await listening(one, async () => {
      const looked = await say(other, script);
      // Where the neighbour lives the same look has to find it; a command with `keep` does not wait for its turn.
      const result = await one.exec({
        ...{ command: ['/bin/bash', '-c', script], timeoutMs: 20_000, outputLimit: 4096, signal: never, keep: true },
      });
      return [looked, result.output.trim()] as const;
    });
    return {
      held: theirs === '',
      seen: theirs || 'nothing',
      control: { worked: own === 'found', how: `the same look where it lives: ${own || 'nothing'}` },
    };
  },
}));

const Inspect = z.object({
  Mounts: z.array(z.object({ Destination: z.string(), RW: z.boolean() })),
  Config: z.object({ User: z.string(), Env: z.array(z.string()) }),
  HostConfig: z.looseObject({
    Runtime: z.string(),
    NetworkMode: z.string(),
    ReadonlyRootfs: z.boolean(),
    Privileged: z.boolean(),
    CapDrop: z.array(z.string()).nullable(),
    CapAdd: z.array(z.string()).nullable(),
    SecurityOpt: z.array(z.string()).nullable(),
    PidMode: z.string(),
    Memory: z.number(),
    MemorySwap: z.number(),
    Binds: z.array(z.string()).nullable(),
    PortBindings: z.record(z.string(), z.unknown()).nullable(),
    Devices: z.array(z.unknown()).nullable(),
  }),
});
type Inspect = z.infer<typeof Inspect>;

/** [name, what a drifted container would have, whether a container has what it must] */
const GOLDEN: readonly (readonly [string, (inspect: Inspect) => boolean])[] = [
  ['the runtime', ({ HostConfig }) => HostConfig.Runtime.startsWith('coatcheck')],
  [
    'the network',
    ({ HostConfig }) => HostConfig.NetworkMode === 'none' && Object.keys(HostConfig.PortBindings ?? {}).length === 0,
  ],
  ['capabilities', ({ HostConfig }) => HostConfig.CapDrop?.join() === 'ALL' && (HostConfig.CapAdd ?? []).length === 0],
  [
    'new privileges',
    ({ HostConfig }) => HostConfig.SecurityOpt?.includes('no-new-privileges') === true && !HostConfig.Privileged,
  ],
  ['the root’s writability', ({ HostConfig }) => HostConfig.ReadonlyRootfs],
  ['the user', ({ Config }) => /^[1-9]\d*:[1-9]\d*$/.test(Config.User)],
  ['the memory limit', ({ HostConfig }) => HostConfig.Memory > 0 && HostConfig.MemorySwap === HostConfig.Memory],
  ['mounts', ({ Mounts }) => Mounts.length === 1 && Mounts.every((mount) => mount.Destination === '/run/coatcheck' && !mount.RW)],
  ['devices', ({ HostConfig }) => (HostConfig.Devices ?? []).length === 0],
];

const drift: readonly SandboxCase[] = GOLDEN.map(([name, golden]) => ({
  ...{ row: 26, name: `no drift of ${name}`, attempt: 'ask the engine what it applied' },
  expected: 'exactly what a sandbox is to have; a drifted container is told from it',
  async run({ one }) {
    const inspect = Inspect.parse(await docker.getContainer(one.id).inspect());
    const drifted = Inspect.parse({
      Mounts: [...inspect.Mounts, { Destination: DOCKER_SOCKET, RW: true }],
      Config: { ...inspect.Config, User: '0:0' },
      HostConfig: {
        ...inspect.HostConfig,
        ...{
          Runtime: 'runc',
          NetworkMode: 'bridge',
          ReadonlyRootfs: false,
          Privileged: true,
          CapDrop: null,
          CapAdd: ['SYS_ADMIN'],
        },
        ...{ SecurityOpt: null, Memory: 0, MemorySwap: -1, Devices: [{}] },
      },
    });
    return {
      held: golden(inspect),
      seen: JSON.stringify(inspect).slice(0, 300),
      control: { worked: !golden(drifted), how: 'a drifted description is refused by the same look' },
    };
  },
}));

/** An engine that knows no runtime of ours: it answers what it has, and passes nothing on. */
async function engineWithout(t: { after(release: () => void): void }, runtimes: Record<string, unknown>): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'coatcheck-engine-'));
  const path = join(directory, 'docker.sock');
  const server = createServer((request, response) => {
    const info = { ServerVersion: '20.10', Runtimes: runtimes, MemoryLimit: true, SwapLimit: true, DefaultRuntime: 'runc' };
    response.writeHead(request.url?.includes('/info') === true ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(info));
  }).listen(path);
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
    rmSync(directory, { recursive: true, force: true });
  });
  return path;
}

const withoutRunsc: readonly SandboxCase[] = (
  [
    ['a host without runsc', { runc: { path: '/usr/bin/runc' } }],
    ['a runsc with a network', { runc: { path: '/usr/bin/runc' }, coatcheck: { path: '/usr/local/bin/runsc', runtimeArgs: [] } }],
    [
      'another program by runsc’s name',
      { coatcheck: { path: '/usr/bin/runc', runtimeArgs: ['--network=none', '--host-uds=open'] } },
    ],
  ] as const
).map(([name, runtimes]) => ({
  ...{ row: 25, name, attempt: 'create a sandbox there' },
  expected: 'refused as sandbox_unavailable; never another runtime in its place',
  async run({ one, spec }) {
    const releases: (() => void)[] = [];
    const socketPath = await engineWithout({ after: (release) => void releases.push(release) }, runtimes);
    const driver = openDocker({ socketPath, owner: { deployment: 'escape-none', host: 'escape' } });
    const seen = await driver.create(spec, never).then(
      () => 'created',
      (thrown: unknown) => (thrown instanceof Error && 'code' in thrown ? String(thrown.code) : String(thrown)),
    );
    await driver.close();
    for (const release of releases) release();
    const { runtime } = one.facts;
    return {
      held: seen === 'sandbox_unavailable',
      seen,
      control: { worked: runtime === 'runsc', how: `on this host it is made, by ${runtime}` },
    };
  },
}));

export const CASES: readonly SandboxCase[] = [...crossTask, ...drift, ...withoutRunsc];
