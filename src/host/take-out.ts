import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import path from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { sandboxEnded } from '../agent/tools/tool.ts';
import { CoatcheckError } from '../errors.ts';
import type { SandboxCommand } from '../git/lay-in.ts';
import { bundleCommand, readTakeOut, stageCommand, type TakeOutOptions, untrackedCommand } from '../git/take-out.ts';
import { type Sandbox, WORK_TREE } from '../sandbox/sandbox.ts';
import type { Room } from './room.ts';
import type { Run } from './run.ts';

const TAKE_OUT_MS = 10 * 60_000;
/** Of the list of untracked files; a directory of them is one entry. What a list has beyond it counts as the agent's. */
const LIST_BYTES = 1024 * 1024;

/** A change as opaque bytes, with what the sandbox said it is. */
export interface TakenChange {
  readonly tree: string;
  readonly head: string;
  readonly sha256: string;
  readonly stream: () => Readable;
}

const unreadable = (why: string) =>
  new CoatcheckError(
    'change_unreadable',
    `The change could not be taken out of the sandbox: ${why}`,
    'Look at the task page for what the agent did.',
  );

/** Counts, digests and caps bytes on their way; never looks at what they say. */
function measured(byteLimit: number) {
  const hash = createHash('sha256');
  let bytes = 0;
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes > byteLimit) return done(unreadable(`it is larger than ${byteLimit} bytes (limits.change_size).`));
      hash.update(chunk);
      done(null, chunk);
    },
  });
  return { stream, result: () => ({ bytes, sha256: hash.digest('hex') }) };
}

const optionsOf = ({ work }: Run): TakeOutOptions => ({
  base: work.base.sha,
  workTree: WORK_TREE,
  scratch: `/tmp/change-${randomBytes(6).toString('hex')}`,
});

/** Runs one of git's small commands inside; its stdout, capped. */
async function inside(run: Run, sandbox: Sandbox, { command, env }: SandboxCommand, stdin: Buffer): Promise<Buffer> {
  const { signal } = run;
  const result = await sandbox.exec({ command, env, stdin, timeoutMs: TAKE_OUT_MS, outputLimit: LIST_BYTES, signal });
  signal.throwIfAborted();
  if (result.end === 'sandbox_died') throw await sandboxEnded(sandbox);
  if (result.end === 'exited' && result.exitCode === 0) return result.stdout;
  throw unreadable(result.stderr.toString('utf8').slice(-500).trim() || result.end);
}

/**
 * What set-up and baseline left that git neither tracks nor ignores, before the agent begins: build products of a repository
 * without a .gitignore for them. They are no part of the change. Opaque bytes here, in whole entries.
 */
export async function listUntracked(run: Run, { sandbox }: Room): Promise<Buffer> {
  const list = await inside(run, sandbox, untrackedCommand(optionsOf(run)), Buffer.alloc(0));
  return list.subarray(0, list.lastIndexOf(0) + 1);
}

/** Takes what the agent changed out of its sandbox as one bundle; null when it changed nothing. */
export async function takeOut(run: Run, { sandbox }: Room, untracked: Buffer): Promise<TakenChange | null> {
  const { signal, work, report } = run;
  const options = optionsOf(run);
  const said = readTakeOut(await inside(run, sandbox, stageCommand(options), untracked));
  if (said.kind === 'nothing') return null;

  const file = path.join(run.directory, 'change.bundle');
  const { command, env } = bundleCommand(options);
  const measure = measured(work.limits.changeBytes);
  const out = sandbox.stream({ command, env, stdin: Buffer.alloc(0), timeoutMs: TAKE_OUT_MS, signal });
  await pipeline(out.stdout, measure.stream, createWriteStream(file, { mode: 0o600 }), { signal });
  const done = await out.done;
  if (done.end !== 'exited' || done.exitCode !== 0) throw unreadable(done.stderr.toString('utf8').slice(-500).trim() || done.end);
  const taken = measure.result();
  report.emit({ type: 'change.taken', head: said.head, tree: said.tree, leftOut: [...said.leftOut], ...taken });
  return { tree: said.tree, head: said.head, sha256: taken.sha256, stream: () => createReadStream(file) };
}
