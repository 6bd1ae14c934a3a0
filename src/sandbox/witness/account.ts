import type { KernelSight, KernelSummary } from '../sandbox.ts';
import { unquoted } from './go-quoted.ts';
import { type LogLine, readLine } from './log-line.ts';
import type { Marks } from './marks.ts';
import { ProcessTrees } from './process-trees.ts';

/** Processes and connects that are told in full, and their characters in all; beyond, they are counted. */
const KEPT = { sights: 5000, text: 2_000_000 };
/** The same for those that descend from no command: there should be none, so none may drown in the others. */
const STRANGERS_KEPT = { sights: 1000, text: 500_000 };
/** Characters kept of one argument, of all arguments of a process, and of a path. */
const ARGUMENT_MAX = 2000;
const ARGUMENTS_MAX = 8000;
const PATH_MAX = 1000;

/**
 * Makes the account of one sandbox out of the lines of its kernel's log: who ran, descending from which command, and who
 * connected where. The environment is looked at for the mark of a command and goes nowhere.
 */
export class Account {
  readonly #marks: Marks;
  readonly #tell: (sight: KernelSight) => void;
  readonly #trees: ProcessTrees;
  /** Connects that were told: the same command to the same place with the same result is told once. */
  readonly #connects = new Set<string>();
  #first = true;
  #dropped = 0;
  #processes = 0;
  #connected = 0;
  #strangers = 0;
  readonly #strangersTold = { sights: 0, text: 0 };
  readonly #told = { sights: 0, text: 0 };
  #notKept = 0;

  constructor(marks: Marks, tell: (sight: KernelSight) => void) {
    this.#marks = marks;
    this.#tell = tell;
    this.#trees = new ProcessTrees((sight) => this.#count(sight));
  }

  /** @param now milliseconds of a clock that only goes forward. */
  line(text: string, now: number): void {
    const line = readLine(text);
    if (line !== null) this.#take(line, now);
  }

  /** To be called now and then, as what nobody claims becomes nobody's by time alone. */
  settle(now: number): void {
    this.#trees.settle(now);
  }

  /** The totals, after the last line. */
  summary(logBytes: number, incomplete: string | null): KernelSummary {
    this.#trees.settle(Number.POSITIVE_INFINITY);
    return {
      processes: this.#processes,
      connects: this.#connected,
      strangers: this.#strangers,
      notKept: this.#notKept,
      logBytes,
      incomplete: incomplete ?? (this.#dropped === 0 ? null : `The runtime could not write ${this.#dropped} lines of its log.`),
    };
  }

  #take(line: LogLine, now: number): void {
    switch (line.told) {
      case 'dropped':
        this.#dropped += line.lines;
        return;
      case 'started':
        this.#started(line.argv);
        return;
      case 'forked':
        this.#trees.forked(line.by, line.child, now);
        return;
      case 'connected':
        this.#trees.saw(line.by, { seen: 'connect', pid: line.by.pid, to: clipped(line.to, PATH_MAX), result: line.result }, now);
        return;
      case 'executed': {
        const { by, environment } = line;
        if (environment !== null && this.#trees.isUnknown(by, now)) {
          const command = this.#marks.claim(environment);
          if (command !== null) this.#trees.belongs(by, command, now);
        }
        const argv = line.argv === null ? ['(not told)'] : shortArguments(line.argv);
        this.#trees.saw(by, { seen: 'process', pid: by.pid, executable: clipped(line.executable, PATH_MAX), argv }, now);
      }
    }
  }

  /** The kernel started a process as it was told from outside; the first is the container's own, the others must be ours. */
  #started(argv: string): void {
    const ours = this.#first || this.#marks.starts(argv);
    this.#first = false;
    if (ours) return;
    // The log joins the arguments with spaces, and does not tell the process's id.
    const [executable = ''] = argv.split(' ', 1);
    const told = { executable: clipped(executable, PATH_MAX), argv: [clipped(argv, ARGUMENT_MAX)] };
    this.#count({ seen: 'process', pid: 0, parent: null, command: null, ...told });
  }

  #count(sight: KernelSight): void {
    const stranger = sight.command === null;
    if (sight.seen === 'process') {
      this.#processes += 1;
      if (stranger) this.#strangers += 1;
    } else this.#connected += 1;
    if (this.#keeps(sight, stranger)) this.#tell(sight);
    else this.#notKept += 1;
  }

  #keeps(sight: KernelSight, stranger: boolean): boolean {
    if (sight.seen === 'connect') {
      const key = JSON.stringify([sight.command, sight.to, sight.result]);
      if (this.#connects.has(key)) return false;
      if (this.#connects.size < KEPT.sights) this.#connects.add(key);
    }
    const [told, kept] = stranger ? [this.#strangersTold, STRANGERS_KEPT] : [this.#told, KEPT];
    told.sights += 1;
    told.text += textOf(sight);
    return told.sights <= kept.sights && told.text <= kept.text;
  }
}

function textOf(sight: KernelSight): number {
  if (sight.seen === 'connect') return sight.to.length;
  return sight.argv.reduce((sum, argument) => sum + argument.length, sight.executable.length);
}

function shortArguments(quoted: readonly string[]): string[] {
  const kept: string[] = [];
  let left = ARGUMENTS_MAX;
  for (const one of quoted) {
    // An escaped character is 10 long at most.
    const argument = clipped(unquoted(one.slice(0, ARGUMENT_MAX * 10)), Math.min(ARGUMENT_MAX, left), one.length);
    left -= argument.length + 1;
    kept.push(argument);
    if (left > 0) continue;
    const more = quoted.length - kept.length;
    if (more > 0) kept.push(`[… ${more} arguments left out …]`);
    break;
  }
  return kept;
}

/** @param length of the whole, where only its beginning is given. */
function clipped(text: string, limit: number, length = text.length): string {
  if (text.length <= limit && length <= ARGUMENT_MAX * 10) return text.toWellFormed();
  return `${text.slice(0, Math.max(0, limit)).toWellFormed()}[… cut …]`;
}
