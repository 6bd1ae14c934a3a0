/** git's gateway on a mirror, the trusted way of a change, and a door with the rules of the Go preset. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { serveUploadPack } from '../../src/git/gateway.ts';
import { presetRules, readPresets } from '../../src/policy/presets.ts';
import { rig, sink } from '../e2e/door-rig.ts';
import type { Teardown } from './cases.ts';
import { openGitTarget } from './git-rig.ts';

export type WaysTarget = Awaited<ReturnType<typeof openWays>>;

export async function openWays(t: Teardown, goSum: string) {
  const git = await openGitTarget(t);
  const { upstream, root, signal } = git.world;
  mkdirSync(join(root, 'sockets'), { recursive: true });
  const socket = join(root, 'sockets/git.sock');
  const mirror = { path: upstream, update: async () => {} };
  const gateway = await serveUploadPack(mirror, { socket, repository: 'acme/widget', signal });
  t.after(() => gateway.close());

  const outside = await sink(t);
  const preset = readPresets(['go']).get('go');
  const rules = (preset === undefined ? [] : presetRules(preset, goSum)).map((rule) => ({
    ...rule,
    ports: [outside.port],
    privateAddresses: ['127.0.0.0/8'],
  }));
  const { door } = await rig(t, { rules, hosts: { 'proxy.golang.org': '127.0.0.1' } });
  await door.set({ phase: 'setup' });
  return {
    socket,
    mirror: upstream,
    go: { door, sink: outside, port: outside.port },
    git,
  };
}
