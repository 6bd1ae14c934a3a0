import { randomUUID } from 'node:crypto';
import { after } from 'node:test';
import Docker from 'dockerode';
import { SandboxLimits } from '../../src/policy/limits.ts';
import { type DockerOptions, openDocker, type SandboxDriver } from '../../src/sandbox/docker.ts';
import type { ExecOptions, ExecResult, Sandbox, SandboxSpec } from '../../src/sandbox/sandbox.ts';

export const MiB = 1024 * 1024;
export const IMAGE = 'coatcheck-runner:latest';
export const SOCKET = '/var/run/docker.sock';
export const docker = new Docker({ socketPath: SOCKET });
export const never: AbortSignal = new AbortController().signal;

/** A deployment of its own, so that sweeps of one test file do not see another's. */
export const deployment = `e2e-${randomUUID()}`;

export const SMALL: SandboxLimits = SandboxLimits.parse({
  memoryBytes: 640 * MiB,
  workBytes: 256 * MiB,
  tmpBytes: 64 * MiB,
  processes: 96,
  openFiles: 512,
});

export const spec = (change: Partial<SandboxSpec> = {}): SandboxSpec => ({
  image: IMAGE,
  runtime: 'runsc',
  limits: SMALL,
  doorDirectory: null,
  capabilities: [],
  services: [],
  onKernel: () => {},
  labels: { task: 'e2e', attempt: '1', purpose: 'work' },
  ...change,
});

/** A driver that closes, with its sandboxes, when the test file ends. */
export function realDriver(change: Partial<DockerOptions> = {}): SandboxDriver {
  const driver = openDocker({ socketPath: SOCKET, owner: { deployment, host: 'e2e' }, ...change });
  after(() => driver.close());
  return driver;
}

/** Runs a shell script as the agent's user. */
export function sh(sandbox: Sandbox, script: string, change: Partial<ExecOptions> = {}): Promise<ExecResult> {
  const command = ['/bin/bash', '-c', script];
  return sandbox.exec({ command, timeoutMs: 20_000, outputLimit: 64 * 1024, signal: never, ...change });
}

/** The processes of the agent's user that are there between commands, seen by a user who is not the agent. */
export async function agentProcesses(sandbox: Sandbox): Promise<string[]> {
  const exec = await docker.getContainer(sandbox.id).exec({
    User: '990:990',
    Cmd: ['ps', '-u', '1000', '-o', 'args='],
    AttachStdout: true,
    Tty: true,
  });
  const stream = await exec.start({ hijack: true, stdin: false });
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text.split(/\r?\n/).filter((line) => line.trim() !== '');
}

/** What a sweep removed of this deployment. Logs of kernels are no deployment's: whoever sweeps first takes them. */
export async function swept(driver: SandboxDriver): Promise<string[]> {
  return (await driver.sweep()).removed.filter((name) => !name.endsWith('.boot.json'));
}
