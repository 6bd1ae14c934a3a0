import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** A person's own environment for git in tests: nothing of the machine's configuration. */
export const PERSON = {
  PATH: process.env['PATH'] ?? '/usr/bin:/bin',
  HOME: '/nonexistent',
  LC_ALL: 'C.UTF-8',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'A Person',
  GIT_AUTHOR_EMAIL: 'person@people.test',
  GIT_COMMITTER_NAME: 'A Person',
  GIT_COMMITTER_EMAIL: 'person@people.test',
};

/** Runs git as a person would, in `directory`; returns stdout without the last line's end. */
export function gitAs(directory: string, args: readonly string[], input?: string | Buffer): string {
  return execFileSync('git', ['-C', directory, ...args], {
    env: PERSON,
    input: input ?? '',
    maxBuffer: 1 << 28,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
    .toString('utf8')
    .replace(/\n$/, '');
}

/** A temporary directory that goes away with the test. */
export function temporary(t: Pick<TestContext, 'after'>): string {
  const directory = mkdtempSync(join(tmpdir(), 'coatcheck-git-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A bare repository `root/NAME.git` with one commit of these files on `main`; returns its path and the commit. */
export function bareRepository(
  root: string,
  name: string,
  files: Readonly<Record<string, string | Buffer>>,
): { path: string; sha: string } {
  const path = join(root, `${name}.git`);
  execFileSync('git', ['init', '--quiet', '--bare', '--initial-branch=main', path], { env: PERSON });
  const sha = commitFiles(path, files, []);
  gitAs(path, ['update-ref', 'refs/heads/main', sha]);
  return { path, sha };
}

/** Commits exactly these files with fast-import: quick also for ten thousand of them. Returns the commit. */
export function commitFiles(
  path: string,
  files: Readonly<Record<string, string | Buffer>>,
  parents: readonly string[],
  message = 'Commit',
): string {
  const parts: (string | Buffer)[] = [
    'commit refs/import/tmp\n',
    'committer A Person <person@people.test> 1700000000 +0000\n',
    `data ${Buffer.byteLength(message)}\n${message}\n`,
    ...parents.map((parent, i) => `${i === 0 ? 'from' : 'merge'} ${parent}\n`),
    'deleteall\n',
  ];
  for (const [name, content] of Object.entries(files)) {
    const bytes = Buffer.from(content);
    parts.push(`M 100644 inline ${name}\ndata ${bytes.length}\n`, bytes, '\n');
  }
  gitAs(path, ['fast-import', '--quiet', '--force'], Buffer.concat(parts.map((part) => Buffer.from(part))));
  const sha = gitAs(path, ['rev-parse', 'refs/import/tmp']);
  gitAs(path, ['update-ref', '-d', 'refs/import/tmp']);
  return sha;
}
