import type Docker from 'dockerode';
import { CoatcheckError } from '../errors.ts';
import { AGENT, HOME } from './container-options.ts';
import type { Engine } from './engine.ts';
import { runOwn } from './exec-channel.ts';
import { type SandboxSpec, WORK_TREE } from './sandbox.ts';

// gVisor answers `dmesg` to anybody; under runc an unprivileged user may be refused, and /proc/version speaks for the host.
const KERNEL = 'dmesg 2>/dev/null | head -n 1 | grep . || cat /proc/version';
const SCRIPT = `mkdir -p ${WORK_TREE} ${HOME} && stat -f -c '%b %S' /work && { ${KERNEL}; }`;

/**
 * Makes the folders that every command expects, and looks which kernel answers inside and how large the work tree's disk is.
 * @returns the first kernel log line
 * @throws CoatcheckError `not_gvisor` when gVisor was asked for and something else answers, `sandbox_died` when nothing does,
 *   `sandbox_unavailable` when the disk has not the size that was asked for
 */
export async function prepareInside(
  engine: Engine,
  container: Docker.Container,
  { runtime, limits }: Pick<SandboxSpec, 'runtime' | 'limits'>,
  mark: string,
): Promise<string> {
  const done = await runOwn(engine, container, { user: AGENT, script: SCRIPT, mark, ms: 15_000 });
  if (done === null || done.code !== 0) {
    throw new CoatcheckError(
      'sandbox_died',
      `The sandbox does not answer after its start (exit code ${done?.code ?? 'unknown'}).`,
      'Look at the output of its first process; the image must be derived from the one that `npm run setup` builds.',
    );
  }
  const [size = '', ...rest] = done.stdout.split('\n');
  checkSize(size, limits);
  const kernel = rest.join('\n').trim().slice(0, 300);
  if (runtime === 'runsc' && !/Starting gVisor/.test(kernel)) {
    throw new CoatcheckError(
      'not_gvisor',
      `gVisor was asked for, but the kernel inside says: ${kernel}`,
      "Check the runtime `coatcheck` in Docker's daemon.json; `npm run setup -- --check` reports.",
    );
  }
  return kernel;
}

/** A mount that the engine does not see, because it has mounts of its own, would leave the work tree on the host's disk. */
function checkSize(size: string, { workBytes }: SandboxSpec['limits']): void {
  const [blocks = Number.NaN, blockSize = Number.NaN] = size.split(' ').map(Number);
  if (blocks * blockSize <= workBytes) return;
  throw new CoatcheckError(
    'sandbox_unavailable',
    `The sandbox's work tree would have ${blocks * blockSize} bytes instead of at most ${workBytes}.`,
    'Run the host in the same mount namespace as the engine; for a systemd unit, without PrivateMounts and PrivateTmp.',
  );
}
