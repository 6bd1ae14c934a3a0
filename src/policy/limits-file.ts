import { z } from 'zod';
import type { TaskLimits } from './limits.ts';
import { ByteSize, Duration } from './units.ts';

const count = (what: string) => z.int().positive().describe(`${what}, a whole number`);
const size = (what: string) => ByteSize.describe(`${what}, as "512 MiB"`);
const time = (what: string) => Duration.describe(`${what}, as "10 min"`);

/** Limits as people write them; each may be left out. Bytes and milliseconds after reading. */
export const LimitsFile = z
  .strictObject({
    memory: size('memory of one sandbox'),
    cpus: z.number().positive().describe('CPUs of one sandbox'),
    work_disk: size('disk for the work tree'),
    work_in: z.enum(['memory', 'disk']).describe('where the work tree is: memory, or disk for larger repositories'),
    tmp_disk: size('disk for temporary files, in memory'),
    processes: count('processes in one sandbox'),
    open_files: count('open files of one process'),
    wall: time('time of one attempt'),
    command: time('time of one command'),
    command_output: size('output kept of one command'),
    turns: count('model calls of one task'),
    tokens: count('tokens of one task'),
    verify_rounds: z.int().nonnegative().describe('how often failures go back to the agent, a whole number'),
    change_size: size('size of the change'),
    changed_files: count('files in the change'),
    repository_size: size('size of the repository'),
  })
  .partial();
export type LimitsFile = z.infer<typeof LimitsFile>;
/** Limits that are numbers. `work_in` is none: see effective-policy.ts. */
export type LimitName = Exclude<keyof LimitsFile, 'work_in'>;

/** How the names in files map to the limits of a task: one place to read and one to write, per name. */
export const LIMIT_NAMES: {
  readonly [N in LimitName]-?: (limits: Draft) => { get: () => number; set: (value: number) => void };
} = {
  memory: (l) => field(l.sandbox, 'memoryBytes'),
  cpus: (l) => field(l.sandbox, 'cpus'),
  work_disk: (l) => field(l.sandbox, 'workBytes'),
  tmp_disk: (l) => field(l.sandbox, 'tmpBytes'),
  processes: (l) => field(l.sandbox, 'processes'),
  open_files: (l) => field(l.sandbox, 'openFiles'),
  wall: (l) => field(l, 'wallMs'),
  command: (l) => field(l, 'commandMs'),
  command_output: (l) => field(l, 'commandOutputBytes'),
  turns: (l) => field(l, 'turns'),
  tokens: (l) => field(l, 'tokens'),
  verify_rounds: (l) => field(l, 'verifyRounds'),
  change_size: (l) => field(l, 'changeBytes'),
  changed_files: (l) => field(l, 'changedFiles'),
  repository_size: (l) => field(l, 'repositoryBytes'),
};

type Draft = TaskLimits;
function field<K extends string>(holder: Record<K, number>, key: K): { get: () => number; set: (value: number) => void } {
  return {
    get: () => holder[key],
    set: (value) => {
      holder[key] = value;
    },
  };
}

/**
 * Where the work tree is: what the operator says is the most, and disk is more than memory. Gives what is wrong, or null.
 * @param asked what one level asks for; it is set when the level above allows it
 */
export function narrowPlace(limits: TaskLimits, asked: LimitsFile['work_in']): string | null {
  if (asked === 'disk' && limits.sandbox.workIn === 'memory') return 'asks for disk, but only memory is allowed';
  if (asked !== undefined) limits.sandbox.workIn = asked;
  return null;
}

/** The limits a file states, by name; what it leaves out is not in the list. */
export function statedLimits(file: LimitsFile): { name: LimitName; value: number }[] {
  return LIMIT_KEYS.flatMap((name) => {
    const value = file[name];
    return value === undefined ? [] : [{ name, value }];
  });
}
const LIMIT_KEYS = LimitsFile.keyof().exclude(['work_in']).options;
