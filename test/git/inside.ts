import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { SandboxCommand } from '../../src/git/lay-in.ts';

/** Runs what a sandbox would run, here, with the environment that an agent left behind. */
export async function inside(
  command: SandboxCommand,
  stdin: Readable | Buffer = Buffer.alloc(0),
  agentsEnvironment: Record<string, string> = {},
): Promise<{ code: number | null; stdout: Buffer; stderr: string }> {
  const [program = '', ...args] = command.command;
  const env = { PATH: '/usr/bin:/bin', HOME: '/nonexistent', ...agentsEnvironment, ...command.env };
  const child = spawn(program, args, { env, cwd: '/', stdio: ['pipe', 'pipe', 'pipe'] });
  (Buffer.isBuffer(stdin) ? Readable.from([stdin]) : stdin).pipe(child.stdin.on('error', () => {}));
  const closed = once(child, 'close');
  const [stdout, stderr] = await Promise.all([buffer(child.stdout), buffer(child.stderr)]);
  const [code] = await closed;
  return { code, stdout, stderr: stderr.toString('utf8') };
}
