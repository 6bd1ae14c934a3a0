import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { z } from 'zod';
import { CoatcheckError } from '../errors.ts';
import type { Engine } from './engine.ts';

/** Runtimes that this driver can start. Others have a row in the table of capabilities that says what they would give. */
const WIRED = ['runsc', 'runc'] as const;
type Wired = (typeof WIRED)[number];

/** Names under which the engine has them. `coatcheck` is runsc with the arguments below, as set-up registers it. */
export const REGISTERED: Readonly<Record<Wired, string>> = { runsc: 'coatcheck', runc: 'runc' };

export interface Runtime {
  readonly name: Wired;
  readonly version: string;
  /** Its program on the host. */
  readonly path: string;
  /** What the engine starts it with. */
  readonly arguments: readonly string[];
}

/** What the engine is and has. */
export interface EngineFacts {
  readonly engine: string;
  readonly runtimes: readonly Runtime[];
  /** Whether it can cap a container's memory: not on a kernel without the memory controller. */
  readonly limitsMemory: boolean;
}

/** Without these the sandbox would have a network interface, or no way to the door. */
const NEEDED_ARGUMENTS = ['--network=none', '--host-uds=open'];

const Info = z.object({
  ServerVersion: z.string(),
  MemoryLimit: z.boolean().default(false),
  Runtimes: z.record(z.string(), z.object({ path: z.string(), runtimeArgs: z.array(z.string()).nullish() })),
});
type Info = z.infer<typeof Info>;

/** What the engine has, read from `docker info` and by a real look at each program. */
export async function engineFacts(engine: Engine): Promise<EngineFacts> {
  const info = Info.parse(await engine.call('describe itself', () => engine.docker.info()));
  const found = await Promise.all(WIRED.map((name) => program(info, name)));
  return {
    engine: info.ServerVersion,
    runtimes: found.filter((runtime) => runtime !== null),
    limitsMemory: info.MemoryLimit,
  };
}

async function program(info: Info, name: Wired): Promise<Runtime | null> {
  const registered = info.Runtimes[REGISTERED[name]];
  if (registered === undefined) return null;
  const { path } = registered;
  const given = registered.runtimeArgs ?? [];
  if (name === 'runsc' && !NEEDED_ARGUMENTS.every((argument) => given.includes(argument))) return null;
  try {
    const { stdout } = await promisify(execFile)(path, ['--version'], { timeout: 5000, maxBuffer: 65_536 });
    // `runsc version 0.0~20240729.0` or `runsc version release-20240729.0`; `runc version 1.1.5+ds1`.
    const [, found, version] = /^(\w+) version (\S+)$/m.exec(stdout) ?? [];
    return found === name && version !== undefined ? { name, version, path, arguments: given } : null;
  } catch {
    return null;
  }
}

/** The runtime that a spec names. @throws CoatcheckError `sandbox_unavailable` when the host does not have it. */
export function runtimeFor(runtimes: readonly Runtime[], wanted: string): Runtime {
  const runtime = runtimes.find(({ name }) => name === wanted);
  if (runtime !== undefined) return runtime;
  if (wanted === 'kata') {
    throw new CoatcheckError(
      'sandbox_unavailable',
      'The runtime `kata` has a row in the table of capabilities, but this version cannot start it.',
      'Name `runsc` in the operator’s policy under runtime.allow.',
    );
  }
  const what =
    wanted === 'runsc'
      ? `Docker has no working runtime \`${REGISTERED.runsc}\` (runsc with ${NEEDED_ARGUMENTS.join(' and ')}).`
      : `Docker has no working runtime \`${wanted}\`.`;
  throw new CoatcheckError('sandbox_unavailable', what, 'Run `npm run setup` on this host; `npm run setup -- --check` reports.');
}
