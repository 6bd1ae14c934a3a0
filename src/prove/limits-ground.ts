import { z } from 'zod';
import type { SandboxLimits } from '../policy/limits.ts';
import type { ExecOptions, ExecResult, Sandbox } from '../sandbox/sandbox.ts';
import { runInside } from './inside.ts';
import type { Finding } from './inside-ground.ts';

/** A sandbox whose limits are reached for. */
export interface LimitsGround {
  readonly limits: SandboxLimits;
  /** Free bytes on the host where the engine keeps its data. */
  freeOnHost(): Promise<number>;
  finding(name: string): Promise<Finding>;
  sh(script: string, change?: Partial<ExecOptions>): Promise<ExecResult>;
  /** A sandbox of its own for what ends it, with as little memory as its disks allow. */
  toDestroy(): Promise<Sandbox>;
}

const Line = z.object({ name: z.string(), stopped: z.boolean(), seen: z.string() });

export interface ReachForLimits {
  readonly sandbox: Pick<Sandbox, 'exec'>;
  readonly limits: SandboxLimits;
  readonly freeOnHost: () => Promise<number>;
  readonly toDestroy: () => Promise<Sandbox>;
}

export function reachForLimits({ sandbox, limits, freeOnHost, toDestroy }: ReachForLimits): LimitsGround {
  let run: Promise<Finding[]> | null = null;
  return {
    ...{ limits, freeOnHost, toDestroy },
    async finding(name) {
      run ??= runInside(sandbox, 'limits', { limits }, Line);
      const found = (await run).find((one) => one.name === name);
      return found ?? { name, stopped: false, seen: 'the program inside said nothing of it' };
    },
    sh: (script, change = {}) => sandbox.exec(shell(script, change)),
  };
}

export const shell = (script: string, change: Partial<ExecOptions> = {}): ExecOptions => ({
  command: ['/bin/bash', '-c', script],
  cwd: '/tmp',
  timeoutMs: 30_000,
  outputLimit: 64 * 1024,
  signal: new AbortController().signal,
  ...change,
});
