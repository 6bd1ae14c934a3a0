import { setTimeout as after } from 'node:timers/promises';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { z } from 'zod';
import { RecordedEvent } from '../../audit/events.ts';
import { CoatcheckError } from '../../errors.ts';
import { Task } from '../../task/task.ts';

const Traces = z.looseObject({
  pullRequest: z.looseObject({ number: z.int(), url: z.string(), draft: z.boolean() }).nullable(),
  checkRun: z.looseObject({ url: z.string() }).nullable(),
  commit: z.string().nullable(),
});
const Listed = z.array(z.looseObject({ task: Task, traces: Traces, page: z.string() }));

/** How a task ended, as its stream says it. */
export const TaskEnd = z.looseObject({ task: Task, traces: Traces, attempt: z.int(), record: z.string() });
export type TaskEnd = z.infer<typeof TaskEnd>;

const APPEARS_MS = 30_000;
const LOOK_MS = 100;

/** The page of the newest task on an issue, once there is one. */
export async function taskOn(
  url: string,
  repository: string,
  issue: number,
  signal: AbortSignal,
): Promise<{ id: string; page: string }> {
  const until = performance.now() + APPEARS_MS;
  while (performance.now() < until) {
    const listed = Listed.parse(await (await fetch(`${url}/tasks.json`, { signal })).json());
    const found = listed.find(
      ({ task }) => `${task.repository.owner}/${task.repository.name}` === repository && task.issue.number === issue,
    );
    if (found !== undefined) return { id: found.task.id, page: `${url}${found.page}` };
    await after(LOOK_MS, undefined, { signal });
  }
  throw new CoatcheckError(
    'no_task',
    `No task appeared for ${repository}#${issue}.`,
    'See the log of coatcheck for the delivery.',
  );
}

/** Follows a task by its page's own stream, which goes on where it was cut; resolves with its end. */
export async function followTask(page: string, onEvent: (event: RecordedEvent) => void, signal: AbortSignal): Promise<TaskEnd> {
  let lastId = -1;
  for (;;) {
    const response = await fetch(`${page}/events`, { headers: { 'last-event-id': String(lastId) }, signal });
    if (response.body === null) throw new CoatcheckError('no_stream', `${page} has no stream.`, 'Open the page in a browser.');
    const messages = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
    for await (const message of messages) {
      if (message.event === 'end') return TaskEnd.parse(JSON.parse(message.data));
      lastId = Number(message.id);
      onEvent(RecordedEvent.parse(JSON.parse(message.data)));
    }
    await after(LOOK_MS, undefined, { signal });
  }
}
