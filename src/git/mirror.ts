import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CoatcheckError } from '../errors.ts';
import { gitEnvironment } from './environment.ts';
import { holdLock } from './lock.ts';
import { checkRemote, type Remote, secretsOf, unreadable } from './remote.ts';
import { type GitResult, git, runGit } from './run-git.ts';

export interface UpdateOptions {
  readonly remote: Remote;
  /** The pinned base commit: in the mirror afterwards, whatever happened to its branch. */
  readonly sha: string;
  /** The branch that becomes the mirror's HEAD, for example `main` or `refs/heads/main`. */
  readonly ref: string;
  /** Cap on what one update may bring in. */
  readonly byteLimit: number;
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
}

/** One bare repository on the host, holding the branches and tags of one repository on GitHub and nothing of any task. */
export interface Mirror {
  /** The bare repository's directory. */
  readonly path: string;
  /**
   * Brings the mirror up to date.
   * @throws CoatcheckError `repository_unreadable` with git's reason, `repository_empty`, `repository_too_large`.
   */
  update(options: UpdateOptions): Promise<void>;
}

/** Opens the mirror of one repository, named by GitHub's numeric id, below `directory`. */
export async function openMirror(options: { readonly directory: string; readonly repositoryId: number }): Promise<Mirror> {
  const path = join(options.directory, `${options.repositoryId}.git`);
  await mkdir(options.directory, { recursive: true });
  return {
    path,
    async update(update) {
      checkRemote(update.remote);
      // Two tasks, or two host processes, on one mirror: one after the other.
      await using _lock = await holdLock(`${path}.lock`, update.timeoutMs ?? UPDATE_MS, update.signal);
      await initialise(path, update.signal);
      await fetchAll(path, update);
      await pin(path, update);
      await tidy(path, update.signal);
    },
  };
}

const UPDATE_MS = 15 * 60_000;

async function initialise(path: string, signal: AbortSignal): Promise<void> {
  // Readable for the cage's user whatever the umask; the directory above keeps others out.
  await git({
    args: ['init', '--quiet', '--bare', '--template=', '--shared=0644', '--', path],
    env: gitEnvironment(),
    timeoutMs: 30_000,
    signal,
  });
}

async function fetchAll(path: string, update: UpdateOptions): Promise<void> {
  const result = await fetchInto(path, update, ['--prune', '--force'], ['refs/heads/*:refs/heads/*', 'refs/tags/*:refs/tags/*']);
  if (result.tooLarge) throw tooLarge(update.byteLimit);
  if (result.code !== 0) throw unreadable(result.reason);
  const branch = await local(path, ['for-each-ref', '--count=1', 'refs/heads'], update.signal);
  if (branch.stdout.length === 0) {
    throw new CoatcheckError(
      'repository_empty',
      'The repository has no commits yet.',
      'Push a first commit, then trigger again.',
    );
  }
}

/** Keeps the base commit even when its branch moves or goes away while tasks work from it. */
async function pin(path: string, update: UpdateOptions): Promise<void> {
  const { sha, signal } = update;
  const here = await local(path, ['cat-file', '-e', `${sha}^{commit}`], signal);
  if (here.code !== 0) {
    const result = await fetchInto(path, update, [], [`${sha}:refs/keep/${sha}`]);
    if (result.tooLarge) throw tooLarge(update.byteLimit);
    if (result.code !== 0) throw unreadable(`commit ${sha} is not there any more: ${result.reason}`);
  }
  await mustLocal(path, ['update-ref', `refs/keep/${sha}`, sha], signal);
  const branch = `refs/heads/${update.ref.replace(/^refs\/heads\//, '')}`;
  const known = await local(path, ['rev-parse', '--verify', '--quiet', branch], signal);
  if (known.code === 0) await mustLocal(path, ['symbolic-ref', 'HEAD', branch], signal);
}

/** Every fetch leaves a pack; many packs are slow to read. */
async function tidy(path: string, signal: AbortSignal): Promise<void> {
  const env = gitEnvironment({
    config: [
      ['gc.auto', '6700'],
      ['gc.autoPackLimit', '50'],
      ['gc.autoDetach', 'false'],
    ],
  });
  await git({ args: [`--git-dir=${path}`, 'gc', '--auto', '--quiet'], env, timeoutMs: UPDATE_MS, signal });
}

async function fetchInto(path: string, update: UpdateOptions, flags: string[], refspecs: string[]): Promise<GitResult> {
  const { remote } = update;
  const result = await runGit({
    args: [
      ...[`--git-dir=${path}`, 'fetch', '--quiet', '--no-tags', '--no-write-fetch-head', '--no-recurse-submodules'],
      ...[...flags, '--', remote.url, ...refspecs],
    ],
    env: gitEnvironment({ remote, protocols: 'http:https' }),
    secrets: secretsOf(remote),
    fileBytes: update.byteLimit,
    timeoutMs: update.timeoutMs ?? UPDATE_MS,
    signal: update.signal,
  });
  if (result.code !== 0) await removeHalfPacks(path);
  return result;
}

/** What a fetch that failed has already written; git itself would leave it for two weeks. Called under the lock. */
async function removeHalfPacks(path: string): Promise<void> {
  const packs = join(path, 'objects/pack');
  const left = (await readdir(packs)).filter((name) => name.startsWith('tmp_'));
  await Promise.all(left.map((name) => rm(join(packs, name), { force: true })));
}

const local = (path: string, args: string[], signal: AbortSignal): Promise<GitResult> =>
  runGit({ args: [`--git-dir=${path}`, ...args], env: gitEnvironment(), timeoutMs: 60_000, signal });

const mustLocal = (path: string, args: string[], signal: AbortSignal): Promise<string> =>
  git({ args: [`--git-dir=${path}`, ...args], env: gitEnvironment(), timeoutMs: 60_000, signal });

/** The error for a repository over its byte limit. */
export function tooLarge(byteLimit: number): CoatcheckError {
  return new CoatcheckError(
    'repository_too_large',
    `The repository is larger than the limit of ${byteLimit} bytes.`,
    'Raise limits.repository_size in the policy, or make the repository smaller.',
  );
}
