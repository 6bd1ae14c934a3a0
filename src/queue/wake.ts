import { z } from 'zod';
import { TaskId } from '../task/task.ts';

/** What a wake-up says; whether there is anything to do, the control plane decides at the claim. */
export const Wake = z.strictObject({ task: TaskId, attempt: z.int().positive() });
export type Wake = z.infer<typeof Wake>;

export const QUEUE_NAME = 'coatcheck-attempts';

/** One id per attempt: BullMQ allows no `:` in it, and not a mere number. */
export const jobIdOf = ({ task, attempt }: Wake): string => `${task}-${attempt}`;
