import { CoatcheckError } from '../../errors.ts';
import { type Sandbox, WORK_TREE } from '../../sandbox/sandbox.ts';
import { sandboxEnded } from '../tools/tool.ts';

export interface ChangedFile {
  /** A: added, D: deleted, M: anything else (content, mode, type). Renames are a D and an A. */
  readonly status: 'A' | 'D' | 'M';
  readonly path: string;
}

export interface GitContext {
  readonly sandbox: Sandbox;
  readonly signal: AbortSignal;
}

const LIST_BYTES = 16 * 1024 * 1024;
const GIT_MS = 5 * 60_000;

/** git's own settings for every call in a sandbox: no hooks, no pathspec magic, no questions. */
const ENV = { GIT_LITERAL_PATHSPECS: '1', GIT_TERMINAL_PROMPT: '0', GIT_CONFIG_NOSYSTEM: '1', GIT_OPTIONAL_LOCKS: '0' };

/** Runs a program in the work tree and returns its stdout. @throws CoatcheckError `yardstick_failed`; AgentEnded; the signal's reason. */
export async function inTree(context: GitContext, command: readonly string[], stdin: Buffer = Buffer.alloc(0)): Promise<Buffer> {
  const { sandbox, signal } = context;
  const result = await sandbox.exec({
    command,
    cwd: WORK_TREE,
    env: ENV,
    stdin,
    timeoutMs: GIT_MS,
    outputLimit: LIST_BYTES,
    signal,
  });
  signal.throwIfAborted();
  if (result.end === 'sandbox_died') throw await sandboxEnded(sandbox);
  if (result.end === 'exited' && result.exitCode === 0 && !result.truncated) return result.stdout;
  const said = result.truncated ? 'too much output' : result.stderr.toString('utf8').trim().slice(0, 500);
  throw new CoatcheckError(
    'yardstick_failed',
    `${command.slice(0, 4).join(' ')} failed: ${said}`,
    'See the output of the clean room.',
  );
}

export const git = (context: GitContext, args: readonly string[], stdin?: Buffer): Promise<Buffer> =>
  inTree(context, ['git', '-c', 'core.hooksPath=/dev/null', '-c', 'core.fsmonitor=false', ...args], stdin);

/** The files in which the checked-out change differs from the base, by git's own account of a fresh tree. */
export async function changedFiles(context: GitContext, base: string): Promise<ChangedFile[]> {
  const out = await git(context, ['diff', '--name-status', '--no-renames', '--no-ext-diff', '-z', base, 'HEAD']);
  const fields = out.toString('utf8').split('\0').slice(0, -1);
  const files: ChangedFile[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [status, path] = [fields[at], fields[at + 1]];
    if (path !== undefined) files.push({ status: status === 'A' || status === 'D' ? status : 'M', path });
  }
  return files;
}
