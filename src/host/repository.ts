import path from 'node:path';
import type { DoorOptions } from '../door/door.ts';
import { type Gateway, serveUploadPack } from '../git/gateway.ts';
import { type LayIn, layIn } from '../git/lay-in.ts';
import { type Mirror, openMirror } from '../git/mirror.ts';
import { grantedRepositories } from './granted-repositories.ts';
import { exists, originUrl } from './room.ts';
import type { Run } from './run.ts';

/** The task's repository on this host. */
export interface Repository {
  /** Its base, ready to be laid in; settles once the mirror is up to date. */
  readonly layIn: Promise<LayIn>;
  /** Its history, behind the door's git route. */
  readonly gateway: Gateway;
  /** Those that the work order's rules open besides. */
  readonly granted: DoorOptions['repositories'];
}

/** Opens the repository's mirror; bringing it up to date goes on while sandbox and door are started. */
export async function openRepository(run: Run): Promise<Repository> {
  const { host, work, cleanup, report, signal } = run;
  const { repository } = work;
  const mirror = await openMirror({ directory: path.join(host.directory, 'mirrors'), repositoryId: repository.id });
  const socket = path.join(run.directory, 'git.sock');
  const gateway = await serveUploadPack(mirror, { socket, repository: `${repository.owner}/${repository.name}`, signal });
  cleanup.add({ kind: 'git gateway', id: 'git.sock', release: () => gateway.close(), gone: async () => !(await exists(socket)) });

  const made = report.step('mirror', () => makeReady(run, mirror));
  // Whoever needs it waits for it and sees its error; until then nobody may.
  made.catch(() => undefined);
  let released = false;
  cleanup.add({
    kind: 'lay-in',
    id: String(repository.id),
    release: async () => {
      await made.then(
        (laidIn) => laidIn[Symbol.asyncDispose](),
        () => undefined,
      );
      released = true;
    },
    gone: async () => released,
  });
  return { layIn: made, gateway, granted: await grantedRepositories(run) };
}

/** Fetches with a read token that is good for this repository alone, and packs the base. */
async function makeReady(run: Run, mirror: Mirror): Promise<LayIn> {
  const { host, signal } = run;
  const { repository, base, limits } = run.work;
  const grant = await run.control.grant({ grant: 'repository_read' }, signal);
  if (grant.grant !== 'repository_read') throw new Error('The control plane answered with another grant.');
  const remote = { url: grant.url, token: grant.token, network: host.network };
  const byteLimit = limits.repositoryBytes;
  await mirror.update({ remote, sha: base.sha, ref: base.ref, byteLimit, signal });
  return layIn(mirror, { sha: base.sha, ref: base.ref, originUrl: originUrl(repository), byteLimit, signal });
}
