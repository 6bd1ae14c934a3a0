import { isEnd } from '../task/task.ts';
import { closeAttempt } from './conclude.ts';
import { ending } from './ending.ts';
import type { ControlParts } from './parts.ts';

/**
 * Asks a task to stop. A waiting one ends at once; a running one when its host has cleaned up; one that is being
 * published only when nothing of it is on GitHub yet: `too_late` otherwise.
 */
export function stopTask(
  parts: ControlParts,
  id: string,
  by: string,
  conclude: (task: string, attempt: number) => void,
): Promise<'stopping' | 'too_late'> {
  const { store, recorder, follow } = parts;
  return parts.publishing(id, async () => {
    const { task, traces } = await store.tasks.get(id);
    if (isEnd(task.state) || traces.commit !== null) return 'too_late';
    await store.tasks.askToStop(id, { by, why: 'asked for on the issue' });
    const attempt = await store.attempts.latest(id);
    if (attempt === null) return 'too_late';
    const ref = { task: id, attempt: attempt.number };
    await recorder.control(ref, { type: 'stop.asked', by, why: 'comment on the issue' });
    await store.tasks.say(id, `@${by} asked to stop; cleaning up.`);
    follow.touch(id);
    if (attempt.state === 'queued') {
      await closeAttempt(parts, ref, ending('stopped', `Asked for by @${by}.`));
      conclude(id, attempt.number);
    }
    return 'stopping';
  });
}
