import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import { builtinHarness } from '../agent/builtin.ts';
import type { Config } from '../config.ts';
import { CoatcheckError } from '../errors.ts';
import { startHost } from '../host/host.ts';
import { controlClient } from '../host/protocol-client.ts';
import { parseOperatorConfig } from '../policy/operator-config.ts';
import type { Queue } from '../queue/queue.ts';
import { openDocker } from '../sandbox/docker.ts';
import { gitNetwork } from './network.ts';
import type { Releases } from './release.ts';
import { checkRunscAge } from './runsc-age.ts';

export interface StartHost {
  readonly config: Config;
  readonly log: Logger;
  readonly queue: Queue;
  readonly controlUrl: string;
  readonly hostKey: string;
  readonly release: Releases;
  readonly version: string;
}

/** Starts a host on this machine. @throws CoatcheckError when it cannot give what the policy asks of every host. */
export async function startHostProcess(start: StartHost): Promise<void> {
  const { config, log, release } = start;
  const operator = parseOperatorConfig(await readFile(config.policyFile, 'utf8'), config.policyFile);
  const id = `${config.hostName}-${randomBytes(4).toString('hex')}`;
  const sandboxes = openDocker({
    socketPath: config.dockerSocket,
    owner: { deployment: config.dataDirectory, host: id },
    disks: path.join(config.dataDirectory, 'host', 'disks'),
    log: (line) => log.warn(line),
  });
  release.add('sandboxes', sandboxes.close);
  const facts = await sandboxes.facts();
  const runsc = facts.runtimes.find(({ name }) => name === 'runsc');
  if (runsc !== undefined && operator.runtime.allow.includes('runsc'))
    checkRunscAge(runsc.version, operator.runtime, config.policyFile);
  const diskProblem = operator.limits.work_in === 'disk' ? await sandboxes.diskProblem() : null;
  if (diskProblem !== null) {
    throw new CoatcheckError(
      'sandbox_unavailable',
      `${config.policyFile} puts work trees on disk. ${diskProblem}`,
      'Run the host as root, with loop devices, or set limits.work_in to `memory`.',
    );
  }
  const host = await startHost({
    control: controlClient({ url: start.controlUrl, hostKey: start.hostKey }),
    queue: start.queue,
    sandboxes,
    harness: () => builtinHarness(),
    directory: path.join(config.dataDirectory, 'host'),
    facts: { id, runtimes: facts.runtimes, coatcheck: start.version },
    slots: config.hostSlots,
    authorities: config.authorities,
    upstreamProxy: config.upstreamProxy,
    network: await gitNetwork(config),
    hosts: {},
    log,
  });
  release.add('host', () => host.close());
  log.info({ host: id, runtimes: facts.runtimes, slots: config.hostSlots }, 'host ready');
}
