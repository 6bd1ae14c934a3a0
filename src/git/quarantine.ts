import { constants, createWriteStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { giveToCage } from '../cage/run-in-cage.ts';
import { CoatcheckError } from '../errors.ts';
import { ObjectId } from '../task/task.ts';
import type { Scratch } from './caged-git.ts';
import { gitEnvironment } from './environment.ts';
import { type JudgeOptions, judgeChange, type QuarantineReport, refusedWhole } from './judge-change.ts';
import { tooLarge } from './mirror.ts';
import { openChange } from './open-change.ts';
import { checkRemote, type Remote, secretsOf, unreadable } from './remote.ts';
import { git, runGit } from './run-git.ts';

const MiB = 1024 * 1024;

export interface CheckOptions extends JudgeOptions {
  /** The file that `receiveBundle` wrote. */
  readonly bundle: string;
  readonly signal: AbortSignal;
}

/** Where one change is looked at, and pushed from once it is clean. */
export interface Quarantine extends AsyncDisposable {
  /** Bare repository on the trusted side: the base commit, and the objects of changes that were found clean. */
  readonly repository: string;
  readonly base: string;
  /** Looks at a change in the cage. @throws CoatcheckError only when the look itself fails, never for what it finds. */
  check(options: CheckOptions): Promise<QuarantineReport>;
}

export interface QuarantineOptions {
  /** Made by this call, removed on disposal. */
  readonly directory: string;
  readonly remote: Remote;
  /** The pinned base commit. */
  readonly base: string;
  readonly byteLimit: number;
  readonly signal: AbortSignal;
}

/**
 * Fetches the base commit, alone and with its whole tree, into a repository of its own.
 * @throws CoatcheckError `repository_unreadable` with git's reason, `repository_too_large`.
 */
export async function openQuarantine(options: QuarantineOptions): Promise<Quarantine> {
  checkRemote(options.remote);
  const base = ObjectId.parse(options.base);
  const { directory } = options;
  const repository = join(directory, 'repository.git');
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  try {
    await fetchBase(repository, options);
  } catch (thrown) {
    await remove();
    throw thrown;
  }
  return { repository, base, check: (check) => lookAt(repository, base, directory, check), [Symbol.asyncDispose]: remove };
}

async function fetchBase(repository: string, options: QuarantineOptions): Promise<void> {
  const { remote, base, signal } = options;
  const init = ['init', '--quiet', '--bare', '--template=', '--shared=0644'];
  await git({ args: [...init, '--', repository], env: gitEnvironment(), timeoutMs: 30_000, signal });
  const flags = ['--quiet', '--depth=1', '--no-tags', '--no-write-fetch-head', '--no-recurse-submodules'];
  const fetched = await runGit({
    args: [`--git-dir=${repository}`, 'fetch', ...flags, '--', remote.url, `${base}:refs/keep/base`],
    env: gitEnvironment({ remote, protocols: 'http:https' }),
    secrets: secretsOf(remote),
    fileBytes: options.byteLimit,
    timeoutMs: 15 * 60_000,
    signal,
  });
  if (fetched.tooLarge) throw tooLarge(options.byteLimit);
  if (fetched.code !== 0) throw unreadable(fetched.reason);
}

async function lookAt(repository: string, base: string, directory: string, options: CheckOptions): Promise<QuarantineReport> {
  const scratchDirectory = await mkdtemp(join(directory, 'scratch-'));
  try {
    giveToCage(scratchDirectory);
    const scratch: Scratch = {
      directory: scratchDirectory,
      baseObjects: join(repository, 'objects'),
      // A thin pack is completed with objects of the base, uncompressed deltas among them.
      fileBytes: 4 * options.limits.bytes + 64 * MiB,
      signal: options.signal,
    };
    const opened = await openChange(scratch, { bundle: options.bundle, base });
    if (opened.kind === 'unsound') return refusedWhole(opened.head, opened.findings);
    const report = await judgeChange(scratch, base, opened, options);
    if (report.verdict === 'clean') await adopt(repository, scratch, opened.pack);
    return report;
  } finally {
    await rm(scratchDirectory, { recursive: true, force: true });
  }
}

/**
 * Copies the pack and its index, as index-pack completed and checked them in the cage, into the repository that is
 * pushed from. They are copied as bytes, links are not followed, and nothing else of the scratch directory (its
 * configuration, refs, alternates) comes along; only then can `makeCommit` name the tree.
 */
async function adopt(repository: string, scratch: Scratch, pack: string): Promise<void> {
  const from = join(scratch.directory, 'change.git/objects/pack');
  const to = join(repository, 'objects/pack');
  // The index last: git looks for it first.
  for (const name of [`pack-${pack}.pack`, `pack-${pack}.idx`]) await copyPlain(join(from, name), join(to, name), scratch);
}

async function copyPlain(from: string, to: string, { fileBytes, signal }: Scratch): Promise<void> {
  if (existsSync(to)) return; // the same change was looked at before: a pack is named after its content
  await using handle = await open(from, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const facts = await handle.stat();
  if (!facts.isFile() || facts.nlink !== 1 || facts.size > fileBytes) {
    throw new CoatcheckError('quarantine_failed', 'The cage left something else than a pack.', 'Treat the change as hostile.');
  }
  const half = `${to}.tmp`;
  await pipeline(handle.createReadStream({ autoClose: false }), createWriteStream(half, { mode: 0o444 }), { signal });
  await rename(half, to);
}
