import { basename } from 'node:path';
import { z } from 'zod';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { type Program, runInside } from './inside.ts';
import type { Outside } from './outside.ts';

/** Port on which the relay listens inside every sandbox. */
export const RELAY_PORT = 3128;

const Finding = z.object({ name: z.string(), stopped: z.boolean(), seen: z.string() });
export type Finding = z.infer<typeof Finding>;
type Reporting = Extract<Program, 'escape' | 'network' | 'credentials'>;

/** What was attempted inside, by name; each program runs once, when its first finding is asked for. */
export interface InsideGround {
  finding(program: Reporting, name: string): Promise<Finding>;
}

export interface LookInside {
  readonly sandbox: Pick<Sandbox, 'exec'>;
  readonly outside: Outside;
  /** Values that must not be found inside, by what they are. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Ports on loopback inside on which something of ours listens. */
  readonly listens: readonly number[];
}

export function lookInside({ sandbox, outside, secrets, listens }: LookInside): InsideGround {
  const parameters = {
    pid: process.pid,
    mark: basename(process.argv[1] ?? process.execPath),
    file: outside.file,
    addresses: outside.addresses,
    ports: { ...outside.ports, outside: outside.web.port },
    abstract: outside.abstract,
    socket: outside.socket,
    listens,
    // Turned round: what is looked for must not be inside for having been looked for.
    reversed: Object.fromEntries(Object.entries(secrets).map(([name, value]) => [name, [...value].reverse().join('')])),
  };
  const runs = new Map<Reporting, Promise<Finding[]>>();
  return {
    async finding(program, name) {
      const run = runs.get(program) ?? runInside(sandbox, program, parameters, Finding);
      runs.set(program, run);
      const found = (await run).find((one) => one.name === name);
      return found ?? { name, stopped: false, seen: 'the program inside said nothing of it' };
    },
  };
}
