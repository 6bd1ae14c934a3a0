import type { TaskEntry } from '../store/tasks.ts';
import type { TaskState } from '../task/task.ts';
import { checkText } from './comments.ts';
import type { ControlParts } from './parts.ts';
import type { AttemptRef } from './record.ts';
import { readSealed } from './seal-record.ts';

const CONCLUSIONS: Partial<Readonly<Record<TaskState, 'success' | 'failure' | 'neutral' | 'cancelled' | 'timed_out'>>> = {
  ready: 'success',
  draft: 'failure',
  no_change: 'neutral',
  cancelled: 'cancelled',
  timed_out: 'timed_out',
};

/** Red for a change that was measured and fell short; grey where there was nothing to measure it by. */
const conclusionOf = (entry: TaskEntry) =>
  entry.task.reason === 'nothing_to_verify' ? ('neutral' as const) : (CONCLUSIONS[entry.task.state] ?? ('failure' as const));

/** The check run on the pushed commit. Before the first push there is no commit of ours for it to stand on. */
export function checkRuns(parts: Pick<ControlParts, 'store' | 'recorder' | 'github' | 'pageOf' | 'directory'>) {
  const { store, recorder, github } = parts;
  return {
    async open(ref: AttemptRef, headSha: string): Promise<void> {
      const entry = await store.tasks.get(ref.task);
      const made = await github.installation(entry.task.installation).createCheckRun(entry.task.repository, {
        name: 'coatcheck',
        headSha,
        externalId: ref.task,
        detailsUrl: parts.pageOf(ref.task),
        status: 'in_progress',
        output: checkText(entry, await recorder.read(ref), null),
      });
      await store.tasks.trace(ref.task, { checkRun: { id: made.id, url: made.url } });
      await recorder.control(ref, { type: 'check_run', id: made.id, url: made.url, conclusion: 'in_progress' }, 'github');
    },

    /** Writes the end and the digest of the sealed record: from here on the record stands outside of our own hands too. */
    async complete(ref: AttemptRef, entry: TaskEntry): Promise<void> {
      if (entry.traces.checkRun === null) return;
      await github.installation(entry.task.installation).updateCheckRun(entry.task.repository, entry.traces.checkRun.id, {
        status: 'completed',
        conclusion: conclusionOf(entry),
        output: checkText(entry, await recorder.read(ref), await readSealed(parts.directory, ref)),
      });
    },
  };
}
export type CheckRuns = ReturnType<typeof checkRuns>;
