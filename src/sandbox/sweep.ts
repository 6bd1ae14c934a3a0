import { errorText } from '../errors.ts';
import type { Disks } from './disk.ts';
import { sweepDisks } from './disk-sweep.ts';
import { type Engine, statusOf } from './engine.ts';
import { removeOrphans } from './orphans.ts';
import { deploymentFilter, hostnameOf, isOwn, type Owner, ownerIsGone } from './owner.ts';
import { removeContainer } from './removal.ts';
import { engineFacts, REGISTERED } from './runtimes.ts';
import { sweepLogs } from './witness/sweep-logs.ts';

/** A container of our own that is not among the open ones is still being created for no longer than this. */
const CREATED_MS = 120_000;

/**
 * Removes what dead owners of this deployment left: containers, gVisor sandboxes that the engine lost sight of, and then
 * the work disks that these had.
 * So do containers of this very process whose creation it did not hear of, because the engine answered too late.
 * Sandboxes of living owners stay, also those of other hosts on the same engine. Gives the ids of what is gone now.
 */
export async function sweep(
  engine: Engine,
  self: Owner,
  open: ReadonlySet<string>,
  disks: Disks,
  log: (line: string) => void,
): Promise<{ removed: string[] }> {
  const removed = [
    ...(await sweepContainers(engine, self, open, log)),
    ...(await sweepBelow(engine, self, log)),
    ...(await sweepDisks(disks.directory, self, log)),
    ...(await sweepLogs()),
  ];
  return { removed };
}

async function sweepContainers(
  engine: Engine,
  self: Owner,
  open: ReadonlySet<string>,
  log: (line: string) => void,
): Promise<string[]> {
  const removed: string[] = [];
  const filters = { label: [deploymentFilter(self.deployment)] };
  const containers = await engine.call('list sandboxes', (abortSignal) =>
    engine.docker.listContainers({ all: true, filters, abortSignal }),
  );
  for (const { Id, Labels, Created } of containers) {
    const unknownOwn = isOwn(Labels, self) && !open.has(Id) && Date.now() - Created * 1000 > CREATED_MS;
    if (!ownerIsGone(Labels, self) && !unknownOwn) continue;
    try {
      await removeContainer(engine, engine.docker.getContainer(Id));
      removed.push(Id);
    } catch (thrown) {
      // One that resists must not keep the others.
      log(`sweep: ${errorText(thrown)}`);
    }
  }
  return removed;
}

async function sweepBelow(engine: Engine, self: Owner, log: (line: string) => void): Promise<string[]> {
  const runsc = (await engineFacts(engine)).runtimes.find(({ name }) => name === 'runsc');
  if (runsc === undefined) {
    log(`sweep: no runtime \`${REGISTERED.runsc}\`, so nothing was looked for below the engine`);
    return [];
  }
  const isKnown = (id: string) => isListed(engine, id);
  return await removeOrphans({ runsc: runsc.path, hostname: hostnameOf(self.deployment), isKnown });
}

async function isListed(engine: Engine, id: string): Promise<boolean> {
  try {
    await engine.call('look for a sandbox', (abortSignal) => engine.docker.getContainer(id).inspect({ abortSignal }));
    return true;
  } catch (thrown) {
    if (statusOf(thrown) === 404) return false;
    throw thrown;
  }
}
