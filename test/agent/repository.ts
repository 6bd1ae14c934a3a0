import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import type { RunContext } from '../../src/agent/verify/run-commands.ts';
import type { HostEvent } from '../../src/audit/events.ts';
import type { CommandKind, DeclaredCommand } from '../../src/task/verification.ts';
import { localSandbox } from './local-sandbox.ts';

/** A file's content; `null` deletes it; a link or a mode where that matters. */
export type Files = Record<string, string | null | { link: string } | { text: string; mode: number }>;

/** A repository in a local sandbox: the base is checked out, and `apply` checks the change out over it. */
export async function repository(t: TestContext, base: Files) {
  const sandbox = await localSandbox();
  t.after(() => sandbox.close());
  const at = (path: string) => join(sandbox.directory, path);
  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t.test', ...args], {
      cwd: sandbox.directory,
      env: { PATH: process.env['PATH'], HOME: '/nonexistent', GIT_CONFIG_NOSYSTEM: '1' },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    }).trim();
  const put = (files: Files) => {
    for (const [path, content] of Object.entries(files)) {
      rmSync(at(path), { recursive: true, force: true });
      if (content === null) continue;
      mkdirSync(dirname(at(path)), { recursive: true });
      if (typeof content === 'string') writeFileSync(at(path), content);
      else if ('link' in content) symlinkSync(content.link, at(path));
      else {
        writeFileSync(at(path), content.text);
        chmodSync(at(path), content.mode);
      }
    }
  };
  git('init', '-q', '-b', 'main');
  put(base);
  git('add', '-A');
  git('commit', '-q', '--allow-empty', '-m', 'base');
  const events: HostEvent[] = [];
  const context: RunContext = {
    sandbox,
    limits: { commandMs: 20_000, commandOutputBytes: 64 * 1024 },
    emit: (event) => events.push(event),
    signal: AbortSignal.timeout(60_000),
  };
  return {
    sandbox,
    at,
    git,
    context,
    events,
    base: git('rev-parse', 'HEAD'),
    /** Commits a change on the base and leaves the base checked out, as after the lay-in. */
    commit(change: Files): string {
      put(change);
      git('add', '-A', '-f');
      git('commit', '-q', '--allow-empty', '-m', 'change');
      const head = git('rev-parse', 'HEAD');
      git('reset', '-q', '--hard', 'HEAD~1');
      return head;
    },
    apply(head: string): string {
      git('reset', '-q', '--hard', head);
      return git('rev-parse', 'HEAD^{tree}');
    },
  };
}

export const declare = (kind: CommandKind, run: string): DeclaredCommand => ({
  kind,
  run,
  meaning: '',
  source: { file: 'AGENTS.md', line: 1 },
});
