import type Docker from 'dockerode';
import { CoatcheckError } from '../errors.ts';
import { AGENT, HOME } from './container-options.ts';
import type { Engine } from './engine.ts';
import { runOwn } from './exec-channel.ts';
import { type SandboxSpec, WORK_TREE } from './sandbox.ts';

// gVisor answers `dmesg` to anybody; under runc an unprivileged user may be refused, and /proc/version speaks for the host.
const SCRIPT = `mkdir -p ${WORK_TREE} ${HOME} && { dmesg 2>/dev/null | head -n 1 | grep . || cat /proc/version; }`;

/**
 * Makes the folders that every command expects, and looks which kernel answers inside.
 * @returns the first kernel log line
 * @throws CoatcheckError `not_gvisor` when gVisor was asked for and something else answers, `sandbox_died` when nothing does.
 */
export async function prepareInside(
  engine: Engine,
  container: Docker.Container,
  runtime: SandboxSpec['runtime'],
): Promise<string> {
  const done = await runOwn(engine, container, { user: AGENT, command: ['/bin/sh', '-c', SCRIPT], ms: 15_000 });
  if (done === null || done.code !== 0) {
    throw new CoatcheckError(
      'sandbox_died',
      `The sandbox does not answer after its start (exit code ${done?.code ?? 'unknown'}).`,
      'Look at the output of its first process; the image must be derived from the one that `npm run setup` builds.',
    );
  }
  const kernel = done.stdout.trim().slice(0, 300);
  if (runtime === 'runsc' && !/Starting gVisor/.test(kernel)) {
    throw new CoatcheckError(
      'not_gvisor',
      `gVisor was asked for, but the kernel inside says: ${kernel}`,
      "Check the runtime `coatcheck` in Docker's daemon.json; `npm run setup -- --check` reports.",
    );
  }
  return kernel;
}
