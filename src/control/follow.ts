import type { GitHub } from '../github/github.ts';
import type { Store } from '../store/store.ts';
import { isEnd, type Task } from '../task/task.ts';
import { statusComment } from './comments.ts';
import type { Recorder } from './record.ts';
import { readSealed } from './seal-record.ts';
import { serialised } from './serialised.ts';

/** GitHub's content limits are shared by a whole installation: a live comment is edited at most this often. */
const EDIT_EVERY_MS = 10_000;

export interface FollowOptions {
  readonly store: Store;
  readonly recorder: Recorder;
  readonly github: GitHub;
  /** The data directory. */
  readonly directory: string;
  readonly pageOf: (task: string) => string;
  readonly trouble: (text: string) => void;
}

/**
 * Keeps one comment per task on its issue true: made once, edited as the task moves, and never without its last state.
 */
export function openFollow(options: FollowOptions) {
  const { store, recorder, github } = options;
  const inTurn = serialised();
  const edits = new Map<string, { editedAt: number; timer: NodeJS.Timeout | null; running: Promise<void> }>();

  async function write(id: string): Promise<void> {
    const entry = await store.tasks.get(id);
    const attempt = (await store.attempts.latest(id))?.number ?? 1;
    const ref = { task: id, attempt };
    const body = statusComment(entry, await recorder.read(ref), options.pageOf(id), await readSealed(options.directory, ref));
    const repository = entry.task.repository;
    const installation = github.installation(entry.task.installation);
    if (entry.traces.comment !== null) {
      await installation.editComment(repository, entry.traces.comment.id, body, id);
      return;
    }
    const made = await installation.createComment(repository, entry.task.issue.number, body, id);
    await store.tasks.trace(id, { comment: made });
    if (!isEnd(entry.task.state)) await recorder.control(ref, { type: 'comment', ...made });
  }

  /** Writing is best effort while live: a comment that cannot be edited must not end a task. */
  const attemptWrite = (id: string): Promise<void> =>
    inTurn(id, () => write(id)).catch((error: unknown) => options.trouble(`status comment of ${id}: ${error}`));

  return {
    /** Says that something changed; the edit comes at once or when the interval allows it. */
    touch(id: string): void {
      const edit = edits.get(id) ?? { editedAt: Number.NEGATIVE_INFINITY, timer: null, running: Promise.resolve() };
      edits.set(id, edit);
      if (edit.timer !== null) return;
      const wait = Math.max(0, edit.editedAt + EDIT_EVERY_MS - performance.now());
      edit.timer = setTimeout(() => {
        edit.timer = null;
        edit.editedAt = performance.now();
        edit.running = attemptWrite(id);
      }, wait);
    },

    /** Writes the last state now and forgets the task. @throws what GitHub answered, so that the caller tries again. */
    async last(id: string): Promise<void> {
      const edit = edits.get(id);
      if (edit?.timer) clearTimeout(edit.timer);
      edits.delete(id);
      await inTurn(id, () => write(id));
    },

    /** A reaction on the issue: `eyes` when taken, `rocket` when a pull request is there, `confused` otherwise. */
    async react(task: Task, content: 'eyes' | 'rocket' | 'confused'): Promise<void> {
      await github
        .installation(task.installation)
        .react(task.repository, { kind: 'issue', number: task.issue.number }, content)
        .catch((error: unknown) => options.trouble(`reaction on ${task.id}: ${error}`));
    },

    async close(): Promise<void> {
      for (const edit of edits.values()) if (edit.timer !== null) clearTimeout(edit.timer);
      await Promise.all([...edits.values()].map((edit) => edit.running));
      edits.clear();
    },
  };
}
export type Follow = ReturnType<typeof openFollow>;
