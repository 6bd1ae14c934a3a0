import { AgentEnded } from '../agent/ended.ts';
import { sandboxEnded } from '../agent/tools/tool.ts';
import { type CleanRoomResult, cleanRoom } from '../agent/verify/clean-room.ts';
import { combine, redOnBase } from '../agent/verify/judge.ts';
import { CoatcheckError, errorText } from '../errors.ts';
import { applyCommand, readApplied } from '../git/take-out.ts';
import { WORK_TREE } from '../sandbox/sandbox.ts';
import type { CommandResult, Verdict, Verification } from '../task/verification.ts';
import type { Repository } from './repository.ts';
import { openRoom, type Room } from './room.ts';
import type { Run } from './run.ts';
import type { TakenChange } from './take-out.ts';

const APPLY_MS = 10 * 60_000;

/**
 * Judges the exact tree in fresh sandboxes that never saw the agent: by its own yardstick, and, where the change edits
 * tests or command definitions, in another one by the base's.
 */
export async function verifyCleanly(
  run: Run,
  repository: Repository,
  change: TakenChange,
  baseline: readonly CommandResult[],
): Promise<Verification> {
  const judged = { tree: change.tree, redOnBase: redOnBase(baseline) };
  const verifying = run.work.commands.filter((command) => command.kind !== 'install');
  if (verifying.length === 0) return { ...judged, verdict: { kind: 'nothing_to_verify' }, results: [], yardstickEdits: [] };
  const results: CommandResult[] = [...baseline];
  let yardstickEdits: string[] = [];
  try {
    const own = await measure(run, repository, change, 'own');
    results.push(...own.results);
    const base = own.touchesYardstick ? await measure(run, repository, change, 'base') : null;
    results.push(...(base?.results ?? []));
    yardstickEdits = base?.yardstickEdits ?? [];
    const yardstick = base === null || yardstickEdits.length === 0 ? null : base.results;
    return { ...judged, verdict: combine({ baseline, cleanRoom: own.results, yardstick }), results, yardstickEdits };
  } catch (error) {
    run.signal.throwIfAborted();
    return { ...judged, verdict: unjudged(error), results, yardstickEdits };
  }
}

/** What goes wrong in the clean room says nothing about the change: it is published as a draft that says so. */
function unjudged(error: unknown): Verdict {
  const known = error instanceof AgentEnded || (error instanceof CoatcheckError && error.code === 'yardstick_failed');
  if (known) return { kind: 'unjudged', why: errorText(error) };
  throw error;
}

async function measure(run: Run, repository: Repository, change: TakenChange, by: 'own' | 'base'): Promise<CleanRoomResult> {
  const room = await openRoom(run, repository, by === 'own' ? 'clean_room' : 'yardstick');
  try {
    const result = await cleanRoom(room.context, {
      base: run.work.base.sha,
      commands: run.work.commands,
      yardstick: run.work.yardstick,
      measure: by,
      openForSetup: () => room.door.set({ phase: 'setup' }),
      shut: () => room.door.set({ phase: 'shut' }),
      applyChange: () => apply(run, room, change),
    });
    if (result.tree === change.tree) return result;
    throw new CoatcheckError(
      'change_unreadable',
      'The clean room holds another tree than the one taken out.',
      'Trigger the issue again.',
    );
  } finally {
    await room.close();
  }
}

/** Puts the change over the base, from the bundle that was taken out and nothing else. */
async function apply(run: Run, { sandbox }: Room, change: TakenChange): Promise<string> {
  const { command, env } = applyCommand({ base: run.work.base.sha, workTree: WORK_TREE });
  const { signal } = run;
  const result = await sandbox.exec({
    command,
    env,
    stdin: change.stream(),
    timeoutMs: APPLY_MS,
    outputLimit: 64 * 1024,
    signal,
  });
  signal.throwIfAborted();
  if (result.end === 'sandbox_died') throw await sandboxEnded(sandbox);
  if (result.end === 'exited' && result.exitCode === 0) return readApplied(result.stdout);
  throw new CoatcheckError(
    'change_unreadable',
    `The change could not be applied in the clean room: ${result.output.slice(-500).trim()}`,
    'Trigger the issue again.',
  );
}
