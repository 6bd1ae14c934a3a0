/** git's gateway on a mirror, the trusted way of a change, and a door with the rules of the Go preset. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { serveUploadPack } from '../../src/git/gateway.ts';
import { presetRules, readPresets } from '../../src/policy/presets.ts';
import { rig, sink } from '../e2e/door-rig.ts';
import { PERSON } from '../git/repositories.ts';
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
  const own = await gitHubDoor(t, upstream, signal);
  return {
    own,
    socket,
    mirror: upstream,
    go: { door, sink: outside, port: outside.port },
    git,
  };
}

/** A door that answers under GitHub's name, and git beside it as it runs inside: with a proxy, and the task's authority. */
async function gitHubDoor(t: Teardown, upstream: string, signal: AbortSignal) {
  const directory = mkdtempSync(join(tmpdir(), 'coatcheck-github-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  chmodSync(directory, 0o755);
  const gitSocket = join(directory, 'git.sock');
  const mirror = { path: upstream, update: async () => {} };
  const gateway = await serveUploadPack(mirror, { socket: gitSocket, repository: 'acme/widget', signal });
  t.after(() => gateway.close());
  const { door, rows } = await rig(t, { gitSocket, github: GITHUB });
  await door.set({ phase: 'agent', model: null });
  const relay = createServer((client) => {
    const upward = connect(door.socket);
    for (const [one, other] of [
      [client, upward],
      [upward, client],
    ] as const)
      one
        .on('error', () => {})
        .on('close', () => other.destroy())
        .pipe(other);
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  t.after(() => void relay.close());
  const address = relay.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const authority = join(directory, 'authority.pem');
  writeFileSync(authority, door.authority);
  const env = {
    ...PERSON,
    ...{ GIT_TERMINAL_PROMPT: '0', GIT_SSL_CAINFO: authority },
    ...{ https_proxy: `http://127.0.0.1:${port}`, http_proxy: `http://127.0.0.1:${port}` },
  };
  const run = promisify(execFile);
  /** How git ended, and what it said. */
  const git = (...args: string[]): Promise<{ code: number; said: string }> =>
    run('git', args, { env, timeout: 20_000 }).then(
      ({ stdout, stderr }) => ({ code: 0, said: stdout + stderr }),
      (error: { code?: number; stderr?: string }) => ({ code: error.code ?? -1, said: error.stderr ?? '' }),
    );
  return { git, rows, clone: join(directory, 'clone') };
}

const GITHUB = {
  apiUrl: 'https://api.github.test',
  webUrl: 'https://github.test',
  repository: { id: 7, owner: 'acme', name: 'widget', private: true, defaultBranch: 'main' },
  issue: { number: 12, title: 'A title', body: 'A body', author: { id: 3, login: 'reader' }, hiddenSpansRemoved: 0 },
};
