/** A repository that an agent has, and the whole way its change takes on the trusted side, for traps laid in `.git`. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { makeCommit } from '../../src/git/commit.ts';
import { checkoutCommands, layIn } from '../../src/git/lay-in.ts';
import { pushBranch } from '../../src/git/push.ts';
import type { CheckOptions } from '../../src/git/quarantine.ts';
import { receiveBundle } from '../../src/git/receive-bundle.ts';
import { bundleCommand, readTakeOut, stageCommand } from '../../src/git/take-out.ts';
import { inside } from '../git/inside.ts';
import { quarantineWorld, type World } from '../git/quarantine-world.ts';
import { gitAs, PERSON } from '../git/repositories.ts';
import type { Teardown } from './cases.ts';

export const US = { name: 'coatcheck[bot]', email: '1+coatcheck[bot]@users.noreply.forge.test' };
/** In a repository of somebody else's, which a redirection would lead to. */
export const FOREIGN = 'canary-of-another-repository';

/** The agent's side of one case: its work tree, its home, and what its traps make when they spring. */
export interface Agent {
  readonly tree: string;
  readonly home: string;
  readonly marker: string;
  /** A program that leaves the marker. */
  readonly program: string;
  /** Another task's repository, with a work tree. */
  readonly foreign: string;
  write(file: string, text: string, mode?: number): void;
  /** Adds to `.git/config`. */
  configure(text: string): void;
}

export interface Passed {
  /** The commit on the remote; null when the change was not published, and `why` says why. */
  readonly published: string | null;
  readonly why: string;
}

export type GitTarget = Awaited<ReturnType<typeof openGitTarget>>;

export async function openGitTarget(t: Teardown) {
  const world: World = await quarantineWorld(t as Parameters<typeof quarantineWorld>[0]);
  const { root, base, signal, upstream } = world;
  const mirror = { path: upstream, update: async () => {} };
  const originUrl = 'http://git.coatcheck.internal/acme/widget.git';
  const laid = await layIn(mirror, { sha: base, ref: 'main', depth: 1, originUrl, byteLimit: 1 << 24, signal });
  t.after(async () => void (await laid[Symbol.asyncDispose]()));
  const pristine = join(root, 'pristine');
  for (const command of checkoutCommands({ sha: base, workTree: pristine }))
    await inside(command, command.stdin === 'tar' ? laid.stream() : undefined);
  const foreign = join(root, 'foreign');
  execFileSync('git', ['init', '--quiet', '--initial-branch=main', foreign], { env: PERSON });
  writeFileSync(join(foreign, 'secret.txt'), `${FOREIGN}\n`);
  gitAs(foreign, ['add', '.']);
  gitAs(foreign, ['commit', '--quiet', '-m', FOREIGN]);
  let received = 0;
  let published = 0;

  return {
    world,

    /** A fresh agent; its tree holds one honest change. */
    agent(): Agent {
      const own = mkdtempSync(join(root, 'agent-'));
      const tree = join(own, 'repo');
      cpSync(pristine, tree, { recursive: true });
      const marker = join(own, 'marker');
      const program = join(own, 'program');
      writeFileSync(program, `#!/bin/sh\ntouch ${marker}\ncat\n`, { mode: 0o755 });
      writeFileSync(join(tree, 'src/a.txt'), 'changed\n');
      return {
        ...{ tree, home: own, marker, program, foreign },
        write: (file, text, mode = 0o644) => {
          execFileSync('mkdir', ['-p', join(tree, file, '..')]);
          writeFileSync(join(tree, file), text, { mode });
        },
        configure: (text) => {
          const file = join(tree, '.git/config');
          writeFileSync(file, `${existsSync(file) ? readFileSync(file, 'utf8') : ''}${text}`);
        },
      };
    },

    /** Plain git in the agent's tree, as a host would run it that knows no better. */
    unguarded(agent: Agent, command: string, env: Record<string, string> = {}): string {
      const run = spawnSync('sh', ['-c', command], {
        cwd: agent.tree,
        env: { PATH: '/usr/bin:/bin', HOME: agent.home, LC_ALL: 'C.UTF-8', ...IDENTITY, ...env },
        input: '',
        timeout: 20_000,
      });
      return `${run.stdout}${run.stderr}`;
    },

    /** Take-out under the agent's home, then all that the trusted side does: receive, check, commit, push. */
    async pass(agent: Agent, environment: Record<string, string> = {}, more: Partial<CheckOptions> = {}): Promise<Passed> {
      const before = { ...process.env };
      Object.assign(process.env, environment);
      try {
        return await this.passIn(agent, more);
      } finally {
        for (const name of Object.keys(environment)) delete process.env[name];
        Object.assign(process.env, before);
      }
    },

    async passIn(agent: Agent, more: Partial<CheckOptions>): Promise<Passed> {
      const scratch = join(agent.home, 'out.git');
      const options = { base, workTree: agent.tree, scratch };
      const theirs = { HOME: agent.home };
      const staged = await inside(stageCommand(options), Buffer.alloc(0), theirs);
      if (staged.code !== 0) return { published: null, why: `take-out: ${staged.stderr.trim()}` };
      const taken = readTakeOut(staged.stdout);
      if (taken.kind === 'nothing') return { published: null, why: 'nothing changed' };
      const out = await inside(bundleCommand(options), undefined, theirs);
      return this.publish(out.stdout, taken.tree, more);
    },

    /** What the cage says of the bytes of a change. */
    async look(bytes: Buffer, tree: string, more: Partial<CheckOptions> = {}) {
      const file = join(root, `received-${++received}.bundle`);
      await receiveBundle(Readable.from([bytes]), { file, byteLimit: 8 << 20, signal });
      const report = await world.check(file, tree, more);
      rmSync(file);
      return report;
    },

    /** What the control plane does with the bytes of a change. */
    async publish(bytes: Buffer, tree: string, more: Partial<CheckOptions> = {}): Promise<Passed> {
      const report = await this.look(bytes, tree, more);
      if (report.verdict !== 'clean')
        return { published: null, why: `${report.verdict}: ${report.findings.map(({ rule }) => rule).join(' ')}` };
      const date = new Date('2026-11-21T10:00:00Z');
      const message = 'Change\n';
      const commit = { tree, parent: base, author: US, committer: US, message, date, signal };
      const sha = await makeCommit(world.quarantine, commit);
      const branch = `coatcheck/issue-1-${String(++published).padStart(8, 'a')}`;
      const pushed = await pushBranch(world.quarantine, { remote: world.remote, branch, sha, expected: null, signal });
      return { published: pushed.kind === 'moved' ? null : sha, why: pushed.kind };
    },

    /** Everything in a published commit, as one text. */
    contentOf: (sha: string): string => gitAs(upstream, ['log', '-p', '-1', '--format=fuller', sha]),
  };
}

const IDENTITY = {
  GIT_AUTHOR_NAME: 'a',
  GIT_AUTHOR_EMAIL: 'a@a.test',
  GIT_COMMITTER_NAME: 'a',
  GIT_COMMITTER_EMAIL: 'a@a.test',
};
