import type { HostEvent, RecordedEvent } from './events.ts';
import { codeCell } from './markdown.ts';

type Saw = Extract<HostEvent, { type: 'kernel.saw' }>;
type Process = Saw['processes'][number];

/** What the kernel of one sandbox saw of one command: all programs that descend from it. */
export interface SeenCommand {
  /** What the sandbox was for. */
  readonly purpose: string;
  /** 0 for what the host itself does in the sandbox; null for what descends from no command. */
  readonly command: number | null;
  /** The first program that it ran, as it was called. */
  readonly first: string;
  readonly processes: number;
  /** Where it connected to, each place once. */
  readonly places: readonly string[];
}

/** An attempt as the kernels of its sandboxes saw it, beside what the agent and the host say. */
export interface KernelAccount {
  readonly sandboxes: number;
  readonly processes: number;
  readonly connects: number;
  readonly notKept: number;
  /** Programs that descend from no command that the host started: all of them, and those that are told in full. */
  readonly strangers: number;
  readonly strangersSeen: readonly Process[];
  readonly commands: readonly SeenCommand[];
  /** Why an account is not whole, of each sandbox where it is not. */
  readonly incomplete: readonly string[];
}

/** The account out of a record; null where no kernel was asked. */
export function kernelAccount(events: readonly Pick<RecordedEvent, 'event'>[]): KernelAccount | null {
  const purposes = new Map<string, string>();
  const commands = new Map<string, Changing<SeenCommand>>();
  const strangersSeen: Process[] = [];
  const totals = new Map<string, Totals>();
  const incomplete: string[] = [];
  for (const { event } of events) {
    if (event.type === 'sandbox.created') purposes.set(event.sandbox, event.purpose);
    else if (event.type === 'kernel.saw') {
      const strangers = event.processes.filter(({ command }) => command === null);
      strangersSeen.push(...strangers);
      // Until the totals come, what was told counts.
      const { processes, connects, strangers: before } = totals.get(event.sandbox) ?? NONE;
      totals.set(event.sandbox, {
        processes: processes + event.processes.length,
        connects: connects + event.connects.length,
        strangers: before + strangers.length,
        notKept: 0,
      });
      addTo(commands, purposes.get(event.sandbox) ?? 'unknown', event);
    } else if (event.type === 'kernel.summary') {
      totals.set(event.sandbox, event);
      if (event.incomplete !== null) incomplete.push(event.incomplete);
    }
  }
  if (totals.size === 0) return null;
  const sum = (name: keyof Totals) => [...totals.values()].reduce((all, one) => all + one[name], 0);
  return {
    sandboxes: totals.size,
    processes: sum('processes'),
    connects: sum('connects'),
    strangers: sum('strangers'),
    notKept: sum('notKept'),
    strangersSeen,
    commands: [...commands.values()],
    incomplete,
  };
}

type Totals = Pick<KernelAccount, 'processes' | 'connects' | 'strangers' | 'notKept'>;
const NONE: Totals = { processes: 0, connects: 0, strangers: 0, notKept: 0 };

type Changing<T> = { -readonly [Name in keyof T]: T[Name] };

function addTo(commands: Map<string, Changing<SeenCommand>>, purpose: string, event: Saw): void {
  const of = (command: number | null) => {
    const key = `${event.sandbox}/${command}`;
    const row = commands.get(key) ?? { purpose, command, first: '', processes: 0, places: [] };
    commands.set(key, row);
    return row;
  };
  for (const { command, argv } of event.processes) {
    const row = of(command);
    row.processes += 1;
    // `setsid` is the host's own: it puts the command into a session of its own.
    if (row.first === '' && argv[0] !== 'setsid') row.first = argv.join(' ');
  }
  for (const { command, to } of event.connects) {
    const row = of(command);
    if (!row.places.includes(to)) row.places = [...row.places, to];
  }
}

/** Commands of the host as the kernels saw them: those with a number of their own. */
export const numbered = ({ commands }: KernelAccount): readonly SeenCommand[] =>
  commands.filter(({ command }) => command !== null && command > 0);

/** The account in a sentence or two. */
export function kernelWords(account: KernelAccount): string {
  const { processes, connects, strangers, incomplete } = account;
  const who =
    strangers === 0 ? 'Every one descends from a recorded command.' : `${strangers} of them descend from no recorded command.`;
  const whole = incomplete.length === 0 ? '' : ` The account is not whole: ${incomplete.map((why) => codeCell(why)).join('; ')}`;
  return `The kernels of the sandboxes saw ${processes} programs run, for ${numbered(account).length} commands, and ${connects} connects. ${who}${whole}`;
}

/** The account for the check: the sentence, and what descends from no command. */
export function kernelSection(account: KernelAccount): string {
  const shown = account.strangersSeen.slice(0, 20).map(({ argv, executable }) => `- ${codeCell(argv.join(' ') || executable)}`);
  const more = account.strangers > shown.length ? [`- and ${account.strangers - shown.length} more`] : [];
  return [kernelWords(account), ...(account.strangers === 0 ? [] : [[...shown, ...more].join('\n')])].join('\n\n');
}

/** A warning for the one comment; empty when there is nothing to warn of. */
export function kernelWarning(account: KernelAccount | null): string {
  if (account === null || (account.strangers === 0 && account.incomplete.length === 0)) return '';
  return `> [!WARNING]\n> ${kernelWords(account)}`;
}
