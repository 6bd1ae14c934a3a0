import path from 'node:path';
import { type Gateway, serveUploadPack } from '../git/gateway.ts';
import { type LayIn, layIn } from '../git/lay-in.ts';
import { openMirror } from '../git/mirror.ts';
import { exists, originUrl } from './room.ts';
import type { Run } from './run.ts';

/** The task's repository on this host: its base ready to be laid in, its history behind the door's git route. */
export interface Repository {
  readonly layIn: LayIn;
  readonly gateway: Gateway;
}

/** Brings the mirror up to date with a read token that is good for this repository alone, and makes the base ready. */
export async function openRepository(run: Run): Promise<Repository> {
  const { host, work, cleanup, signal } = run;
  const { repository, base, limits } = work;
  const grant = await run.control.grant({ grant: 'repository_read' }, signal);
  if (grant.grant !== 'repository_read') throw new Error('The control plane answered with another grant.');
  const mirror = await openMirror({ directory: path.join(host.directory, 'mirrors'), repositoryId: repository.id });
  const remote = { url: grant.url, token: grant.token, network: host.network };
  await mirror.update({ remote, sha: base.sha, ref: base.ref, byteLimit: limits.repositoryBytes, signal });

  const laidIn = await layIn(mirror, {
    sha: base.sha,
    ref: base.ref,
    originUrl: originUrl(repository),
    byteLimit: limits.repositoryBytes,
    signal,
  });
  let released = false;
  cleanup.add({
    kind: 'lay-in',
    id: String(repository.id),
    release: async () => {
      await laidIn[Symbol.asyncDispose]();
      released = true;
    },
    gone: async () => released,
  });

  const socket = path.join(run.directory, 'git.sock');
  const gateway = await serveUploadPack(mirror, { socket, repository: `${repository.owner}/${repository.name}`, signal });
  cleanup.add({ kind: 'git gateway', id: 'git.sock', release: () => gateway.close(), gone: async () => !(await exists(socket)) });
  return { layIn: laidIn, gateway };
}
