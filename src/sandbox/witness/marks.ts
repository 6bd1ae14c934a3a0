import { randomBytes } from 'node:crypto';

/** Environment variable by which the kernel's log, and `reapKept`, tell the processes of one command from others. */
export const MARK_VARIABLE = 'COATCHECK_COMMAND';
const ARGUMENT = 'coatcheck:';
const IN_ARGUMENTS = /coatcheck:([0-9a-f]{32})/;

/** One argument that carries a mark: shells call the first after their script `$0`. */
export const markArgument = (mark: string): string => ARGUMENT + mark;

interface Issued {
  readonly command: number;
  /** Whether the kernel has started a process with this mark. */
  started: boolean;
}

/**
 * Unguessable names of the commands that the driver starts, and the only proof that a process tree is one of them. Each
 * counts once: for one process that the kernel started from outside, and for the one tree that has it first. What runs
 * inside can read a mark that is in use, and it is of no use to it: it can start neither.
 */
export class Marks {
  readonly #issued = new Map<string, Issued>();

  /** A new mark for a command by its number; 0 stands for what the driver does itself. */
  issue(command: number): string {
    const mark = randomBytes(16).toString('hex');
    this.#issued.set(mark, { command, started: false });
    return mark;
  }

  /** Whether the command line of a process that the kernel started is one of ours; says so once for each. */
  starts(argv: string): boolean {
    const issued = this.#issued.get(IN_ARGUMENTS.exec(argv)?.[1] ?? '');
    if (issued === undefined || issued.started) return false;
    issued.started = true;
    return true;
  }

  /** The command whose mark an environment holds, once for each mark, after its start was seen; null for none. */
  claim(environment: readonly string[]): number | null {
    const entry = environment.find((one) => one.startsWith(`${MARK_VARIABLE}=`));
    const mark = entry?.slice(MARK_VARIABLE.length + 1) ?? '';
    const issued = this.#issued.get(mark);
    if (issued?.started !== true) return null;
    this.#issued.delete(mark);
    return issued.command;
  }
}
