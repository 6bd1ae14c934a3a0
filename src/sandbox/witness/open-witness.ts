import type { FileHandle } from 'node:fs/promises';
import { CoatcheckError } from '../../errors.ts';
import type { SandboxSpec } from '../sandbox.ts';
import { openLog } from './find-log.ts';
import { Marks } from './marks.ts';

/** What makes the kernel of one sandbox a witness: marks of what we start there, and its log. */
export interface Witness {
  readonly marks: Marks;
  /** Null where the runtime keeps none. */
  readonly log: FileHandle | null;
  readonly onKernel: SandboxSpec['onKernel'];
}

/**
 * Takes up the log of a sandbox that was just started.
 * @param pid its process on the host
 * @throws CoatcheckError `sandbox_unavailable` when the policy asks for a witness and there is no log.
 */
export async function openWitness(
  pid: number,
  id: string,
  { capabilities, onKernel }: Pick<SandboxSpec, 'capabilities' | 'onKernel'>,
): Promise<Witness> {
  const log = await openLog(pid, id);
  if (log !== null || !capabilities.includes('kernel_witness')) return { marks: new Marks(), log, onKernel };
  throw new CoatcheckError(
    'sandbox_unavailable',
    'The policy asks for `kernel_witness`, and the log of the sandbox’s kernel cannot be found.',
    'Run the host as root in the same PID namespace as the engine, and `npm run setup` to register the runtime anew.',
  );
}

/** Does what is left to do before the log is followed; closes the log when that fails. */
export async function closedOnFailure<T>({ log }: Witness, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    await log?.close();
    throw thrown;
  }
}
