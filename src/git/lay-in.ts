import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { CoatcheckError } from '../errors.ts';
import { gitEnvironment } from './environment.ts';
import { type Mirror, tooLarge } from './mirror.ts';
import { git, runGit } from './run-git.ts';

export interface LayInOptions {
  readonly sha: string;
  /** The base branch, for example `main`; becomes `refs/remotes/origin/main`. */
  readonly ref: string;
  /** Commits of history to lay in; the rest can be fetched through the door. */
  readonly depth?: number;
  /** Where `origin` points inside: the door's git route, without credentials. */
  readonly originUrl: string;
  readonly byteLimit: number;
  readonly signal: AbortSignal;
}

export interface LayIn extends AsyncDisposable {
  /** Bytes of the pack, the greater part of the stream. */
  readonly packBytes: number;
  /** A tar stream of a fresh `.git`; a new one with each call, so that several sandboxes get the same. */
  stream(): Readable;
}

/** The branch that HEAD is on inside a sandbox. */
const BRANCH = 'refs/heads/coatcheck';

/**
 * Prepares a fresh `.git` that holds the base commit and `depth` commits of its history: packed, shallow, with a
 * minimal configuration, no hooks and no credentials. The host writes objects only, never a work tree.
 * @throws CoatcheckError `repository_unreadable` when the mirror does not hold the commit, `repository_too_large`.
 */
export async function layIn(mirror: Mirror, options: LayInOptions): Promise<LayIn> {
  const directory = await mkdtemp(join(dirname(mirror.path), 'lay-in-'));
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true });
  try {
    const gitDirectory = join(directory, '.git');
    await fill(gitDirectory, mirror, options);
    const packBytes = await sizeOf(join(gitDirectory, 'objects/pack'));
    if (packBytes > options.byteLimit) throw tooLarge(options.byteLimit);
    return { packBytes, stream: () => tarOf(directory, options.signal), [Symbol.asyncDispose]: remove };
  } catch (thrown) {
    await remove();
    throw thrown;
  }
}

async function fill(gitDirectory: string, mirror: Mirror, options: LayInOptions): Promise<void> {
  const { sha, signal } = options;
  const at = `--git-dir=${gitDirectory}`;
  const env = gitEnvironment({ protocols: 'file' });
  await git({ args: ['init', '--quiet', '--bare', '--template=', '--', gitDirectory], env, timeoutMs: 30_000, signal });
  const refs = [`${sha}:${BRANCH}`, `${sha}:${remoteRef(options.ref)}`];
  const args = [at, 'fetch', '--quiet', '--no-tags', '--no-write-fetch-head', `--depth=${options.depth ?? 50}`];
  const fetched = await runGit({
    args: [...args, '--', `file://${mirror.path}`, ...refs],
    env,
    fileBytes: options.byteLimit,
    timeoutMs: 10 * 60_000,
    signal,
  });
  if (fetched.tooLarge) throw tooLarge(options.byteLimit);
  if (fetched.code !== 0) {
    throw new CoatcheckError(
      'repository_unreadable',
      `The mirror cannot give ${sha}: ${fetched.reason}.`,
      'Update the mirror first.',
    );
  }
  await git({ args: [at, 'symbolic-ref', 'HEAD', BRANCH], env, timeoutMs: 30_000, signal });
  await mkdir(join(gitDirectory, 'info'), { recursive: true });
  await writeFile(join(gitDirectory, 'config'), configFor(options.originUrl));
}

const remoteRef = (ref: string): string => `refs/remotes/origin/${ref.replace(/^refs\/heads\//, '')}`;

/** Written by hand because it holds nothing but constants and one URL, checked here. */
function configFor(originUrl: string): string {
  if (!/^https?:\/\/[\w.-]+(?::\d+)?\/[\w./-]+$/.test(originUrl)) {
    throw new CoatcheckError('remote_invalid', 'The origin for a sandbox is not a plain http URL.', "Use the door's git route.");
  }
  return [
    ...['[core]', `\trepositoryformatversion = 0`, '\tbare = false', '\tfilemode = true', '\tlogallrefupdates = true'],
    ...['[remote "origin"]', `\turl = ${originUrl}`, '\tfetch = +refs/heads/*:refs/remotes/origin/*', ''],
  ].join('\n');
}

async function sizeOf(directory: string): Promise<number> {
  const sizes = (await readdir(directory)).map(async (name) => (await stat(join(directory, name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** tar of files that this process wrote itself; the stream fails when tar does. */
function tarOf(directory: string, signal: AbortSignal): Readable {
  const args = ['--create', '--numeric-owner', '--owner=0', '--group=0', '--mode=u+rw,go-w', '-C', directory, '--', '.git'];
  const tar = spawn('tar', args, { env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' }, stdio: ['ignore', 'pipe', 'ignore'], signal });
  // Node empties the pipe of a child that has ended while nobody reads yet; what is piped on waits for its reader.
  const stream = tar.stdout.pipe(new PassThrough());
  tar.once('error', (cause) => stream.destroy(cause));
  // 'exit' comes before the end of the stream is read: a failing tar is never a short stream that looks whole.
  tar.once('exit', (code) => {
    if (code !== 0) stream.destroy(new CoatcheckError('git_failed', `tar ended with ${String(code)}.`, 'See the disk.'));
  });
  stream.once('close', () => tar.kill('SIGKILL'));
  return stream;
}

/** One command to run inside a sandbox. */
export interface SandboxCommand {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** What its stdin has to be. */
  readonly stdin: 'nothing' | 'tar' | 'bundle' | 'paths';
}

/**
 * git's environment inside a sandbox: no configuration of the image or the agent's home, no prompt, Large File
 * Storage pointers stay pointers.
 */
export const INSIDE: Readonly<Record<string, string>> = {
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_ATTR_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_LFS_SKIP_SMUDGE: '1',
  GIT_NO_REPLACE_OBJECTS: '1',
};

/** The settings on git's command line inside a sandbox. */
export const QUIET = [
  '-c',
  'core.hooksPath=/dev/null',
  '-c',
  'core.fsmonitor=false',
  '-c',
  'submodule.recurse=false',
  '-c',
  'gc.auto=0',
] as const;

/**
 * The commands that unpack a lay-in stream inside a sandbox and check the base commit out, to be run in order, each
 * of which has to exit with 0. The work tree's directory is made when it is not there; it must be empty.
 */
export function checkoutCommands(options: { readonly sha: string; readonly workTree: string }): SandboxCommand[] {
  const { sha, workTree } = options;
  return [
    {
      command: ['sh', '-c', 'mkdir -p -- "$1" && exec tar --extract --no-same-owner --directory "$1"', 'sh', workTree],
      env: {},
      stdin: 'tar',
    },
    { command: ['git', '-C', workTree, ...QUIET, 'reset', '--hard', '--quiet', sha], env: INSIDE, stdin: 'nothing' },
  ];
}
