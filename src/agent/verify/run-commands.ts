import { StringDecoder } from 'node:string_decoder';
import type { HostEvent } from '../../audit/events.ts';
import { type Sandbox, WORK_TREE } from '../../sandbox/sandbox.ts';
import type { CommandKind, CommandResult, DeclaredCommand, VerificationPhase } from '../../task/verification.ts';
import { AgentEnded } from '../ended.ts';
import { sandboxEnded } from '../tools/tool.ts';

/** Kinds that judge a change, in the order in which they run. */
const VERIFYING: readonly CommandKind[] = ['build', 'test', 'lint'];
/** Characters of output kept in a result; the digest covers all of it. */
const TAIL = 8_000;
/** Characters of one command's output that are shown live. */
const SHOWN_LIVE = 64 * 1024;
const EVENT_TEXT = 16_000;

export interface RunContext {
  readonly sandbox: Sandbox;
  readonly limits: { readonly commandMs: number; readonly commandOutputBytes: number };
  readonly emit: (event: HostEvent) => void;
  readonly signal: AbortSignal;
}

/**
 * Runs the declared build, test and lint commands, in this order, one after the other.
 * A failing or hanging command does not stop the rest; a sandbox that dies does, and its result says so.
 * @throws the signal's reason on abort.
 */
export async function runCommands(
  context: RunContext,
  commands: readonly DeclaredCommand[],
  phase: VerificationPhase,
): Promise<CommandResult[]> {
  const results: CommandResult[] = [];
  for (const command of VERIFYING.flatMap((kind) => commands.filter((one) => one.kind === kind))) {
    const { result, number } = await runCommand(context, command, phase);
    results.push(result);
    context.emit({ type: 'command.ran', sandbox: context.sandbox.id, result, number });
    context.signal.throwIfAborted();
    if (result.end === 'sandbox_died') break;
  }
  return results;
}

/** Runs the declared install commands up to the first that fails. */
export async function runInstall(
  context: RunContext,
  commands: readonly DeclaredCommand[],
  phase: VerificationPhase,
): Promise<CommandResult[]> {
  const results: CommandResult[] = [];
  for (const command of commands.filter((one) => one.kind === 'install')) {
    const { result, number } = await runCommand(context, command, phase);
    results.push(result);
    const { exitCode, ms, outputTail } = result;
    context.emit({ type: 'setup.ran', sandbox: context.sandbox.id, command: command.run, exitCode, ms, outputTail, number });
    context.signal.throwIfAborted();
    if (!isGreen(result)) break;
  }
  return results;
}

/**
 * Set-up on the base: every install command must pass, or nothing later would mean anything.
 * @throws AgentEnded `setup_failed`, `sandbox_died`, `out_of_memory`; the signal's reason.
 */
export async function setUp(context: RunContext, commands: readonly DeclaredCommand[]): Promise<CommandResult[]> {
  const results = await runInstall(context, commands, 'baseline');
  const red = results.find((result) => !isGreen(result));
  if (red === undefined) return results;
  if (red.end === 'sandbox_died') throw await sandboxEnded(context.sandbox);
  const how =
    red.end === 'timed_out' ? `was stopped after ${Math.round(red.ms / 1000)} s` : `ended with exit code ${red.exitCode}`;
  throw new AgentEnded(
    'setup_failed',
    `The install command \`${red.command}\` ${how} on the base: ${red.outputTail.slice(-500).trim()}`,
  );
}

export const isGreen = (result: CommandResult): boolean => result.end === 'exited' && result.exitCode === 0;

async function runCommand(
  context: RunContext,
  command: DeclaredCommand,
  phase: VerificationPhase,
): Promise<{ result: CommandResult; number: number }> {
  const live = liveOutput(context.emit);
  const ran = await context.sandbox.exec({
    command: ['bash', '-c', command.run],
    cwd: WORK_TREE,
    env: { CI: 'true' },
    stdin: Buffer.alloc(0),
    timeoutMs: context.limits.commandMs,
    outputLimit: context.limits.commandOutputBytes,
    signal: context.signal,
    onOutput: live,
  });
  const result: CommandResult = {
    phase,
    kind: command.kind,
    command: command.run,
    end: ran.end,
    exitCode: ran.exitCode,
    ms: ran.ms,
    outputDigest: ran.outputDigest,
    outputTail: tailOf(ran.output),
    truncated: ran.truncated || ran.output.length > TAIL,
  };
  return { result, number: ran.command };
}

/** The last of an output from the beginning of a line on: half a secret is not known for one by its form. */
function tailOf(output: string): string {
  const tail = output.slice(-TAIL).toWellFormed();
  return output.length > TAIL ? tail.slice(tail.indexOf('\n') + 1) : tail;
}

function liveOutput(emit: (event: HostEvent) => void): (chunk: Buffer) => void {
  const decoder = new StringDecoder('utf8');
  let left = SHOWN_LIVE;
  return (chunk) => {
    let text = decoder.write(chunk).slice(0, left);
    left -= text.length;
    for (; text !== ''; text = text.slice(EVENT_TEXT)) emit({ type: 'output', text: text.slice(0, EVENT_TEXT) });
  };
}
