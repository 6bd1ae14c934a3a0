import type { EndReason, TaskState } from '../task/task.ts';
import { reasonWords } from './words.ts';

/** How an attempt, and with it perhaps its task, comes to its end. */
export interface Ending {
  readonly state: TaskState;
  readonly reason: EndReason;
  readonly message: string;
}

const STATE_OF: Partial<Readonly<Record<EndReason, TaskState>>> = {
  nothing_changed: 'no_change',
  wall_limit: 'timed_out',
  stopped: 'cancelled',
  policy: 'refused',
  approval_needed: 'held',
  quarantine: 'refused',
};

/** The ending that a reason stands for, said in our words and then in those of whoever saw it. */
export const ending = (reason: EndReason, detail = ''): Ending => ({
  state: STATE_OF[reason] ?? 'failed',
  reason,
  message: detail === '' ? reasonWords(reason) : `${reasonWords(reason)} ${detail}`,
});
