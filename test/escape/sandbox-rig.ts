/** Two sandboxes of two tasks on one host: one with a door, a service and the kernel's account, beside a bare one. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServiceRule } from '../../src/policy/egress.ts';
import { SandboxLimits } from '../../src/policy/limits.ts';
import { openDocker, type SandboxDriver } from '../../src/sandbox/docker.ts';
import type { KernelSight, Sandbox, SandboxSpec } from '../../src/sandbox/sandbox.ts';
import { rig } from '../e2e/door-rig.ts';
import type { Teardown } from './cases.ts';
import { DOCKER_SOCKET } from './docker.ts';

const MiB = 1024 * 1024;
export const never = new AbortController().signal;
export const CANARY = 'canary-of-the-neighbour-5f1c';
/** Where the service is found inside. */
export const LISTEN_PORT = 15432;

/** A server of loopback that keeps what it is told, and greets. */
export interface Listener {
  readonly port: number;
  readonly heard: string[];
  readonly connections: () => number;
}

async function listener(t: Teardown): Promise<Listener> {
  const heard: string[] = [];
  const open = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    open.add(socket);
    socket.on('error', () => {}).on('data', (chunk: Buffer) => void heard.push(chunk.toString()));
    socket.write('the service\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  const address = server.address();
  return { port: typeof address === 'object' && address !== null ? address.port : 0, heard, connections: () => connections };
}

export type Neighbours = Awaited<ReturnType<typeof neighbours>>;

export async function neighbours(t: Teardown) {
  const doorDirectory = mkdtempSync(join(tmpdir(), 'coatcheck-escape-'));
  t.after(() => rmSync(doorDirectory, { recursive: true, force: true }));
  const driver: SandboxDriver = openDocker({
    socketPath: DOCKER_SOCKET,
    owner: { deployment: `escape-${process.pid}`, host: 'escape' },
  });
  t.after(() => driver.close());
  const [service, beside] = await Promise.all([listener(t), listener(t)]);
  const spec: SandboxSpec = {
    image: 'coatcheck-runner:latest',
    runtime: 'runsc',
    limits: SandboxLimits.parse({ memoryBytes: 512 * MiB, workBytes: 128 * MiB, tmpBytes: 64 * MiB, processes: 96 }),
    doorDirectory,
    capabilities: [],
    services: [],
    onKernel: () => {},
    labels: { task: 'escape', attempt: '1', purpose: 'work' },
  };
  const sights: KernelSight[] = [];
  const witnessed: SandboxSpec = {
    ...spec,
    capabilities: ['kernel_witness'],
    services: [{ listen: LISTEN_PORT, host: 'db.test', port: service.port }],
    onKernel: (sight) => void sights.push(sight),
  };
  const open = { phases: ['agent'], privateAddresses: ['127.0.0.0/8'] };
  const rule = ServiceRule.parse({ how: 'service', id: 'db', host: 'db.test', port: service.port, listen: LISTEN_PORT, ...open });
  const [one, other, { door }] = await Promise.all([
    driver.create(witnessed, never),
    driver.create({ ...spec, doorDirectory: null }, never),
    rig(t, { directory: doorDirectory, rules: [rule], hosts: { 'db.test': '127.0.0.1', 'other.test': '127.0.0.1' } }),
  ]);
  await door.set({ phase: 'agent', model: null });
  await say(
    one,
    `mkdir -p $HOME/.npm; echo ${CANARY} | tee /work/repo/canary /tmp/canary /dev/shm/canary $HOME/.npm/canary >/dev/null`,
  );
  return { driver, spec, one, other, door, service, beside, sights };
}

export async function say(sandbox: Sandbox, script: string): Promise<string> {
  const command = ['/bin/bash', '-c', script];
  const { output } = await sandbox.exec({ command, timeoutMs: 20_000, outputLimit: 64 * 1024, signal: never });
  return output.trim();
}
