import { errorText } from '../errors.ts';
import { isEnd, type Task } from '../task/task.ts';
import { closeAttempt } from './conclude.ts';
import { ending } from './ending.ts';
import type { OrganisationFile } from './organisation.ts';
import type { ControlParts } from './parts.ts';
import { type PrepareParts, prepare } from './prepare.ts';

/** Errors of a repository's own making: the task ends with their text, on the issue. */
const CONFIGURATION: ReadonlySet<string> = new Set([
  'configuration_invalid',
  'policy_widened',
  'blob_too_large',
  'tree_too_large',
]);

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';

/**
 * Resolves what a new task may do and wakes a host for it, or ends it with everything that has to be corrected. May be
 * called again for the same task.
 */
export async function begin(
  parts: ControlParts,
  rules: PrepareParts,
  task: Task,
  conclude: (id: string, attempt: number) => void,
): Promise<void> {
  const { store, recorder, follow } = parts;
  const ref = { task: task.id, attempt: 1 };
  const entry = await store.tasks.get(task.id);
  if (isEnd(entry.task.state)) return;
  if (entry.work === null) {
    try {
      const prepared = await prepare(task, rules);
      await recorder.control(ref, {
        type: 'policy.resolved',
        ruleFile: prepared.ruleFile && { path: prepared.ruleFile.path, blob: prepared.ruleFile.blob },
        configuration: prepared.configuration && { path: prepared.configuration.path, blob: prepared.configuration.blob },
        organisation: placeOf(prepared.organisation),
        ...(prepared.lockFile && { lockFile: { path: prepared.lockFile.path, blob: prepared.lockFile.blob } }),
        commands: [...prepared.policy.commands],
        notRecognised: [...prepared.notRecognised],
        digest: prepared.policy.digest,
      });
      await store.tasks.setWork(task.id, prepared.work);
      await store.tasks.say(
        task.id,
        declared(prepared.work.commands.length, prepared.ruleFile?.path ?? null, prepared.notRecognised.length),
      );
    } catch (error) {
      if (!CONFIGURATION.has(codeOf(error))) throw error;
      await closeAttempt(parts, ref, ending('policy', `\n\n${errorText(error)}`));
      conclude(task.id, 1);
      return;
    }
  }
  follow.touch(task.id);
  await parts.wake(ref);
}

/** Where the organisation's file was read, without its text. */
const placeOf = (file: OrganisationFile | null) =>
  file && { repository: file.repository, path: file.path, blob: file.blob, commit: file.commit };

/** What was found to verify with, said while the task waits; which lines were not recognised stands in the comment itself. */
function declared(commands: number, ruleFile: string | null, notRecognised: number): string {
  const from = ruleFile === null ? 'There is no rule file' : `${ruleFile} was read`;
  const found = commands === 0 ? 'no command is declared, so nothing can be verified' : `${commands} commands are declared`;
  const lost = notRecognised === 0 ? '' : ` Lines not recognised, and so not run: ${notRecognised}.`;
  return `${from}; ${found}.${lost}`;
}
