import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import path from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { sandboxEnded } from '../agent/tools/tool.ts';
import { CoatcheckError } from '../errors.ts';
import { bundleCommand, readTakeOut, stageCommand } from '../git/take-out.ts';
import { WORK_TREE } from '../sandbox/sandbox.ts';
import type { Room } from './room.ts';
import type { Run } from './run.ts';

const TAKE_OUT_MS = 10 * 60_000;

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

/** Takes what the agent changed out of its sandbox as one bundle; null when it changed nothing. */
export async function takeOut(run: Run, { sandbox }: Room): Promise<TakenChange | null> {
  const { signal, work, report } = run;
  const options = { base: work.base.sha, workTree: WORK_TREE, scratch: `/tmp/change-${randomBytes(6).toString('hex')}` };
  const stage = stageCommand(options);
  const common = { timeoutMs: TAKE_OUT_MS, signal, stdin: Buffer.alloc(0) };
  const staged = await sandbox.exec({ ...common, command: stage.command, env: stage.env, outputLimit: 1024 * 1024 });
  signal.throwIfAborted();
  if (staged.end === 'sandbox_died') throw await sandboxEnded(sandbox);
  if (staged.end !== 'exited' || staged.exitCode !== 0)
    throw unreadable(staged.stderr.toString('utf8').slice(-500).trim() || staged.end);
  const said = readTakeOut(staged.stdout);
  if (said.kind === 'nothing') return null;

  const file = path.join(run.directory, 'change.bundle');
  const bundle = bundleCommand(options);
  const measure = measured(work.limits.changeBytes);
  const out = sandbox.stream({ ...common, command: bundle.command, env: bundle.env });
  await pipeline(out.stdout, measure.stream, createWriteStream(file, { mode: 0o600 }), { signal });
  const done = await out.done;
  if (done.end !== 'exited' || done.exitCode !== 0) throw unreadable(done.stderr.toString('utf8').slice(-500).trim() || done.end);
  const taken = measure.result();
  report.emit({ type: 'change.taken', head: said.head, tree: said.tree, ...taken });
  return { tree: said.tree, head: said.head, sha256: taken.sha256, stream: () => createReadStream(file) };
}
