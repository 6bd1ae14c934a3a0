import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { QuarantineReport } from '../../src/git/judge-change.ts';
import { type CheckOptions, openQuarantine, type Quarantine } from '../../src/git/quarantine.ts';
import { DIRECT, type Remote } from '../../src/git/remote.ts';
import { QuarantinePolicy } from '../../src/policy/quarantine.ts';
import { bareRepository, gitAs, temporary } from './repositories.ts';
import { type GitServer, serveGit } from './serve-git.ts';

export const TOKEN = `ghs_${'aB3'.repeat(12)}`;
export const MiB = 1 << 20;
/** The product's own outcomes. */
export const POLICY = { ...QuarantinePolicy.parse({}), largeFileBytes: 2 * MiB };

export interface World {
  readonly root: string;
  /** The repository on the remote; also where changes are made by plumbing, as a sandbox would. */
  readonly upstream: string;
  readonly base: string;
  readonly server: GitServer;
  readonly remote: Remote;
  readonly quarantine: Quarantine;
  readonly signal: AbortSignal;
  /** A raw tree of these entries, whatever git thinks of them. */
  rawTree(entries: readonly (readonly [mode: string, name: string | Buffer, id: string])[]): string;
  blob(content: string | Buffer): string;
  /** The entries of the base's root tree, to be extended. */
  readonly baseEntries: readonly (readonly [string, string, string])[];
  /** A bundle with one commit of this tree on the base, or of other history. */
  bundle(tree: string, options?: { parents?: readonly string[]; prerequisites?: readonly string[]; ref?: string }): string;
  check(bundle: string, expectedTree: string, options?: Partial<CheckOptions>): Promise<QuarantineReport>;
}

/** A remote with one repository, its base in quarantine, and the means to make changes of every kind. */
export async function quarantineWorld(t: TestContext, files: Readonly<Record<string, string | Buffer>> = FILES): Promise<World> {
  const root = temporary(t);
  const signal = AbortSignal.timeout(120_000);
  const { path: upstream, sha: base } = bareRepository(root, 'acme/widget', files);
  const server = await serveGit(root, TOKEN);
  t.after(() => server[Symbol.asyncDispose]());
  const remote = { url: server.url('acme/widget'), token: TOKEN, network: DIRECT };
  const quarantine = await openQuarantine({ directory: join(root, 'quarantine'), remote, base, byteLimit: 256 * MiB, signal });
  let bundles = 0;
  const hash = (type: string, content: string | Buffer): string =>
    gitAs(upstream, ['hash-object', '-t', type, '-w', '--stdin', '--literally'], content);
  return {
    ...{ root, upstream, base, server, remote, quarantine, signal },
    baseEntries: gitAs(upstream, ['ls-tree', base])
      .split('\n')
      .map((line) => line.split(/[ \t]/))
      .map(([mode = '', , id = '', name = '']) => [mode.replace(/^0/, ''), name, id] as const),
    blob: (content) => hash('blob', content),
    rawTree: (entries) =>
      hash(
        'tree',
        Buffer.concat(
          entries.map(([mode, name, id]) =>
            Buffer.concat([Buffer.from(`${mode} `), Buffer.from(name), Buffer.from([0]), Buffer.from(id, 'hex')]),
          ),
        ),
      ),
    bundle(tree, { parents = [base], prerequisites = [base], ref = 'refs/heads/change' } = {}) {
      const lines = [
        `tree ${tree}`,
        ...parents.map((parent) => `parent ${parent}`),
        'author a <a@b.test> 1 +0000',
        'committer a <a@b.test> 1 +0000',
        '',
        'Change',
        '',
      ];
      const head = hash('commit', lines.join('\n'));
      gitAs(upstream, ['update-ref', ref, head]);
      bundles += 1;
      const file = join(root, `change-${bundles}.bundle`);
      gitAs(upstream, ['bundle', 'create', '--quiet', file, ...prerequisites.map((id) => `^${id}`), ref]);
      gitAs(upstream, ['update-ref', '-d', ref]);
      return file;
    },
    check: (bundle, expectedTree, options = {}) =>
      quarantine.check({
        bundle,
        expectedTree,
        limits: { files: 100, bytes: 4 * MiB },
        protectedPaths: [],
        policy: POLICY,
        signal,
        ...options,
      }),
  };
}

export const FILES = {
  '.github/workflows/ci.yml': 'on: push\n',
  'README.md': 'A widget.\n',
  'src/a.txt': 'one\ntwo\nthree\n',
  'src/b.txt': 'b\n',
};

/** A file with these bytes, to stand in for a bundle. */
export function fakeBundle(world: World, content: string | Buffer): string {
  const file = join(world.root, `fake-${Math.random().toString(36).slice(2)}.bundle`);
  writeFileSync(file, content);
  return file;
}

export { gitAs };
