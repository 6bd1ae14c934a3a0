import type { Actor, IssueSnapshot } from '../task/task.ts';
import { stripHidden } from './strip-hidden.ts';

/** GitHub's own limit of an issue body, in characters; what a delivery has beyond it is cut. */
export const BODY_CHARS = 65_536;
/** GitHub's limit of a title is 256; look-alikes may have more. */
export const TITLE_CHARS = 512;
/** Text beyond this is not even looked at for hidden spans. */
const READ_CHARS = 4 * BODY_CHARS;

const MARK = '\n\n[cut here: the text is longer than coatcheck takes]';

/** Cut to `limit` characters, the mark included, never through a surrogate pair. */
export function cutText(text: string, limit: number, mark: string): string {
  return text.length <= limit
    ? text
    : text
        .slice(0, limit - mark.length)
        .toWellFormed()
        .replace(/\uFFFD$/, '') + mark;
}

/** The account that GitHub shows for a deleted one. */
const GHOST: Actor = { id: 10_137, login: 'ghost' };

/** Issue text as the delivery has it, without what readers do not see, and cut to size. */
export function snapshotIssue(issue: {
  number: number;
  title: string;
  body: string | null;
  author: Actor | null;
}): IssueSnapshot {
  const title = stripHidden(issue.title.slice(0, READ_CHARS));
  const body = stripHidden((issue.body ?? '').slice(0, READ_CHARS));
  return {
    number: issue.number,
    title: cutText(title.text.replace(/\s+/g, ' ').trim(), TITLE_CHARS, '…'),
    body: cutText(body.text, BODY_CHARS, MARK),
    author: issue.author ?? GHOST,
    hiddenSpansRemoved: title.total + body.total,
  };
}
