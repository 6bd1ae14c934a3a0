import { tool as describeTool, type Tool as SdkTool } from 'ai';
import type { z } from 'zod';
import { type ExecOptions, type ExecResult, type Sandbox, WORK_TREE } from '../../sandbox/sandbox.ts';
import { AgentEnded } from '../ended.ts';

/** Characters of one result that the model gets to see; more is cut with a mark. */
export const RESULT_LIMIT = 32_000;
const TOOL_TIMEOUT_MS = 60_000;
const TOOL_OUTPUT_BYTES = 256 * 1024;

export interface ToolContext {
  readonly sandbox: Sandbox;
  readonly limits: { readonly commandMs: number; readonly commandOutputBytes: number };
  readonly signal: AbortSignal;
  /** Told the number of each command that was run, by which the kernel's account knows it. */
  readonly onCommand?: (number: number) => void;
}

/** Errors are results too: the model reads them and goes on. */
export interface ToolResult {
  readonly ok: boolean;
  readonly text: string;
}

/** One tool: what the model is told of it, and what it does in the sandbox. */
export interface AgentTool {
  readonly name: string;
  readonly readOnly: boolean;
  readonly definition: SdkTool;
  readonly run: (input: unknown, context: ToolContext) => Promise<ToolResult>;
}

/** Binds schema and action, so that an action only ever sees input that fits. */
export function agentTool<S extends z.ZodType>(spec: {
  readonly name: string;
  readonly readOnly: boolean;
  readonly description: string;
  readonly input: S;
  readonly run: (input: z.output<S>, context: ToolContext) => Promise<ToolResult>;
}): AgentTool {
  return {
    name: spec.name,
    readOnly: spec.readOnly,
    definition: describeTool({ description: spec.description, inputSchema: spec.input }),
    run: async (input, context) => {
      const parsed = spec.input.safeParse(input);
      if (!parsed.success) return failed(parsed.error.issues.map((i) => `${i.path.join('.')}: ${i.message}`).join('; '));
      const result = await spec.run(parsed.data, context);
      return { ok: result.ok, text: clip(result.text) };
    },
  };
}

export const done = (text: string): ToolResult => ({ ok: true, text });
export const failed = (text: string): ToolResult => ({ ok: false, text: `Error: ${text}` });

/**
 * Runs a program in the work tree.
 * @throws AgentEnded `sandbox_died` or `out_of_memory` when there is no sandbox any more; the signal's reason on abort.
 */
export async function inWorkTree(
  context: ToolContext,
  options: Pick<ExecOptions, 'command'> & Partial<Pick<ExecOptions, 'stdin' | 'timeoutMs' | 'outputLimit' | 'env'>>,
): Promise<ExecResult> {
  const result = await context.sandbox.exec({
    cwd: WORK_TREE,
    timeoutMs: TOOL_TIMEOUT_MS,
    outputLimit: TOOL_OUTPUT_BYTES,
    signal: context.signal,
    ...options,
  });
  context.onCommand?.(result.command);
  context.signal.throwIfAborted();
  if (result.end === 'sandbox_died') throw await sandboxEnded(context.sandbox);
  return result;
}

/** Why the sandbox is no more, as the end of the agent's part. */
export async function sandboxEnded(sandbox: Sandbox): Promise<AgentEnded> {
  const cause = await sandbox.died;
  if (cause === 'out_of_memory') return new AgentEnded('out_of_memory', 'The sandbox ran out of memory.');
  return new AgentEnded('sandbox_died', `The sandbox came to an end by itself (${cause}).`);
}

/** The error of a program that should not have failed: its own words, or how it ended. */
export function programError(result: ExecResult): ToolResult {
  if (result.end === 'timed_out') return failed(`stopped after ${Math.round(result.ms / 1000)} s`);
  const said = result.stderr.toString('utf8').trim();
  return failed(said || `exit code ${result.exitCode}`);
}

export function clip(text: string, limit: number = RESULT_LIMIT): string {
  if (text.length <= limit) return text.toWellFormed();
  const half = Math.floor(limit / 2);
  return `${text.slice(0, half)}\n[… ${text.length - 2 * half} characters left out …]\n${text.slice(-half)}`.toWellFormed();
}
