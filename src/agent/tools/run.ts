import { z } from 'zod';
import { agentTool, clip, inWorkTree, RESULT_LIMIT } from './tool.ts';

export const run = agentTool({
  name: 'run',
  readOnly: false,
  description:
    'Runs a command by bash in the work tree and answers with its output and exit code. No network, no terminal, no input.',
  input: z.strictObject({
    command: z
      .string()
      .min(1)
      .max(50_000)
      .refine((text) => !text.includes('\0'), 'must not contain NUL'),
    timeout_seconds: z.int().positive().max(3600).default(120).describe('the command is killed after this time'),
  }),
  run: async ({ command, timeout_seconds }, context) => {
    const result = await inWorkTree(context, {
      command: ['bash', '-c', command],
      stdin: Buffer.alloc(0),
      env: { CI: 'true' },
      timeoutMs: Math.min(timeout_seconds * 1000, context.limits.commandMs),
      outputLimit: Math.min(RESULT_LIMIT, context.limits.commandOutputBytes),
    });
    const output = clip(result.output, RESULT_LIMIT - 100);
    if (result.end === 'exited')
      return { ok: result.exitCode === 0, text: `${output}\n[exit code ${result.exitCode}]`.trimStart() };
    return { ok: false, text: `${output}\n[killed after ${Math.round(result.ms / 1000)} s]`.trimStart() };
  },
});
