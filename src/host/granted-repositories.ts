import path from 'node:path';
import type { DoorOptions } from '../door/door.ts';
import { serveUploadPack } from '../git/gateway.ts';
import { openMirror } from '../git/mirror.ts';
import type { RepositoryRule } from '../policy/egress.ts';
import { exists } from './room.ts';
import type { Run } from './run.ts';

type Granted = DoorOptions['repositories'][number];

/**
 * Brings the repositories that the work order's rules open to this host: each in its mirror, up to date, behind a gateway
 * of its own.
 * @throws CoatcheckError `grant_refused` when the control plane does not give one; git's own reasons.
 */
export async function grantedRepositories(run: Run): Promise<Granted[]> {
  const opened: Granted[] = [];
  for (const rule of run.work.egress) {
    if (rule.how === 'repository') opened.push(await open(run, rule, opened.length + 1));
  }
  return opened;
}

async function open(run: Run, rule: RepositoryRule, count: number): Promise<Granted> {
  const { host, work, cleanup, signal } = run;
  const grant = await run.control.grant({ grant: 'repository_read', rule: rule.id }, signal);
  if (grant.grant !== 'repository_read' || grant.repository === undefined)
    throw new Error('The control plane answered with another grant.');
  const { id, owner, name, ref, sha } = grant.repository;
  const mirror = await openMirror({ directory: path.join(host.directory, 'mirrors'), repositoryId: id });
  const remote = { url: grant.url, token: grant.token, network: host.network };
  await mirror.update({ remote, sha, ref, byteLimit: work.limits.repositoryBytes, signal });
  const socket = path.join(run.directory, `git-${count}.sock`);
  const gateway = await serveUploadPack(mirror, { socket, repository: `${owner}/${name}`, signal });
  cleanup.add({
    kind: 'git gateway',
    id: path.basename(socket),
    release: () => gateway.close(),
    gone: async () => !(await exists(socket)),
  });
  return { name: `${owner}/${name}`, rule: rule.id, socket };
}
