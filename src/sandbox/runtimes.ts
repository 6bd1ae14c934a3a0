import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { z } from 'zod';
import { CoatcheckError } from '../errors.ts';
import { RUNTIME } from './container-options.ts';
import type { Engine } from './engine.ts';
import type { SandboxSpec } from './sandbox.ts';

export interface Runtime {
  readonly name: 'runsc' | 'runc';
  readonly version: string;
  /** Its program on the host. */
  readonly path: string;
}

/** Without these the sandbox would have a network interface, or no way to the door. */
const NEEDED_ARGUMENTS = ['--network=none', '--host-uds=open'];

const Info = z.object({
  ServerVersion: z.string(),
  Runtimes: z.record(z.string(), z.object({ path: z.string(), runtimeArgs: z.array(z.string()).nullish() })),
});
type Info = z.infer<typeof Info>;

/** What the engine has, read from `docker info` and by a real look at each program. */
export async function engineFacts(engine: Engine): Promise<{ engine: string; runtimes: Runtime[] }> {
  const info = Info.parse(await engine.call('describe itself', () => engine.docker.info()));
  const found = await Promise.all([runsc(info), program(info, 'runc', 'runc')]);
  return { engine: info.ServerVersion, runtimes: found.filter((runtime) => runtime !== null) };
}

async function runsc(info: Info): Promise<Runtime | null> {
  const given = info.Runtimes[RUNTIME]?.runtimeArgs ?? [];
  return NEEDED_ARGUMENTS.every((argument) => given.includes(argument)) ? await program(info, RUNTIME, 'runsc') : null;
}

async function program(info: Info, registered: string, name: Runtime['name']): Promise<Runtime | null> {
  const path = info.Runtimes[registered]?.path;
  if (path === undefined) return null;
  try {
    const { stdout } = await promisify(execFile)(path, ['--version'], { timeout: 5000, maxBuffer: 65_536 });
    // `runsc version 0.0~20240729.0` or `runsc version release-20240729.0`; `runc version 1.1.5+ds1`.
    const [, found, version] = /^(\w+) version (\S+)$/m.exec(stdout) ?? [];
    return found === name && version !== undefined ? { name, version, path } : null;
  } catch {
    return null;
  }
}

/** The runtime that a spec names. @throws CoatcheckError `sandbox_unavailable` when the host does not have it. */
export function runtimeFor(runtimes: readonly Runtime[], wanted: SandboxSpec['runtime']): Runtime {
  const runtime = runtimes.find(({ name }) => name === wanted);
  if (runtime !== undefined) return runtime;
  const what =
    wanted === 'runsc'
      ? `Docker has no working runtime \`${RUNTIME}\` (runsc with ${NEEDED_ARGUMENTS.join(' and ')}).`
      : 'Docker has no working runtime `runc`.';
  throw new CoatcheckError('sandbox_unavailable', what, 'Run `npm run setup` on this host; `npm run setup -- --check` reports.');
}
