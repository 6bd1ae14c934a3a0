import type { Yardstick } from '../../policy/yardstick.ts';
import type { CommandResult, DeclaredCommand } from '../../task/verification.ts';
import { changedFiles } from './changes.ts';
import { isManifest } from './manifests.ts';
import { isGreen, type RunContext, runCommands, runInstall, setUp } from './run-commands.ts';
import { isMeasure, putBaseYardstickBack } from './yardstick.ts';

export interface CleanRoomOptions {
  readonly base: string;
  readonly commands: readonly DeclaredCommand[];
  /** `own`: the exact tree. `base`: the base's tests and definitions are put back over it first. */
  readonly measure: 'own' | 'base';
  readonly yardstick: Yardstick;
  /** Opens the registries. Called before set-up and before dependencies that the change asks for are installed. */
  readonly openForSetup: () => Promise<void>;
  /** After this resolves nothing passes. Called before anything of the change runs that is not an install command. */
  readonly shut: () => Promise<void>;
  /** Checks the change out over the base, all from the bundle, and resolves to the tree's id. */
  readonly applyChange: () => Promise<string>;
}

export interface CleanRoomResult {
  readonly tree: string;
  readonly results: CommandResult[];
  /** Whether measuring with the base's yardstick could come out differently: if not, there is no need for that sandbox. */
  readonly touchesYardstick: boolean;
  /** Empty with `measure: 'own'`. With `base`, empty means: nothing was edited, and nothing was run. */
  readonly yardstickEdits: string[];
}

/**
 * The sequence in a fresh sandbox in which the base was laid in: set-up on the base, the change, its dependencies where
 * they differ, door shut, commands. Install commands that fail on the change are results like others.
 * @throws AgentEnded `setup_failed`, `sandbox_died`, `out_of_memory`; CoatcheckError `yardstick_failed` and what the callbacks throw; the signal's reason.
 */
export async function cleanRoom(context: RunContext, options: CleanRoomOptions): Promise<CleanRoomResult> {
  const phase = options.measure === 'own' ? 'clean_room' : 'yardstick';
  await options.openForSetup();
  await setUp(context, options.commands);
  await options.shut();

  const tree = await options.applyChange();
  const files = await changedFiles(context, options.base);
  const touchesYardstick = files.some((file) => isMeasure(file, options.yardstick));
  let yardstickEdits: string[] = [];
  if (options.measure === 'base') {
    yardstickEdits = await putBaseYardstickBack(context, { base: options.base, files, yardstick: options.yardstick });
    if (yardstickEdits.length === 0) return { tree, results: [], touchesYardstick, yardstickEdits };
  }

  let installed: CommandResult[] = [];
  if (files.some((file) => isManifest(file.path))) {
    await options.openForSetup();
    installed = await runInstall(context, options.commands, phase);
    await options.shut();
  }
  const results = installed.every(isGreen) ? await runCommands(context, options.commands, phase) : [];
  return { tree, results: [...installed, ...results], touchesYardstick, yardstickEdits };
}
