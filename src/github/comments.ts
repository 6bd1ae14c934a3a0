import { CoatcheckError } from '../errors.ts';
import { COMMENT_CHARS, clipMarkdown } from './clip.ts';
import { call } from './failure.ts';
import { makeOnce } from './once.ts';
import type { Access } from './repository.ts';

export interface CommentRef {
  id: number;
  url: string;
}

/** The hidden line by which a comment of ours is found again. */
export function markerLine(marker: string): string {
  if (/^[\w.:/-]{1,100}$/.test(marker) && !marker.includes('--')) return `<!-- coatcheck:${marker} -->`;
  throw new CoatcheckError(
    'marker_invalid',
    'A comment’s marker has characters that it must not have.',
    'Use letters, digits and . : / - _',
  );
}

const withMarker = (body: string, marker: string | undefined): string => {
  if (marker === undefined) return clipMarkdown(body, COMMENT_CHARS);
  const line = markerLine(marker);
  return `${clipMarkdown(body, COMMENT_CHARS - line.length - 2)}\n\n${line}`;
};

/** Writes a comment of ours, unless one with this marker is there already: then that one is given back as it is. */
export async function createComment(access: Access, issue: number, body: string, marker: string): Promise<CommentRef> {
  const { octokit, at, signal, secondMs } = access;
  return call('Writing a comment', signal, async () => {
    const { made } = await makeOnce<CommentRef>({
      look: () => lookFor(access, issue, marker),
      make: async () => {
        const { data } = await octokit.rest.issues.createComment({ ...at, issue_number: issue, body: withMarker(body, marker) });
        return { id: data.id, url: data.html_url };
      },
      secondMs,
      signal,
    });
    return made;
  });
}

/** The comment of ours that carries the marker; null when there is none. Others' comments do not count. */
export function findComment(access: Access, issue: number, marker: string): Promise<CommentRef | null> {
  return call('Looking for a comment', access.signal, () => lookFor(access, issue, marker));
}

/** Replaces a comment's text; `marker` keeps it findable. */
export async function editComment({ octokit, at, signal }: Access, id: number, body: string, marker?: string): Promise<void> {
  await call('Editing a comment', signal, () =>
    octokit.rest.issues.updateComment({ ...at, comment_id: id, body: withMarker(body, marker) }),
  );
}

async function lookFor({ octokit, at, self }: Access, issue: number, marker: string): Promise<CommentRef | null> {
  const line = markerLine(marker);
  const { appId, botLogin } = await self();
  for await (const { data } of octokit.paginate.iterator(octokit.rest.issues.listComments, {
    ...at,
    issue_number: issue,
    per_page: 100,
  })) {
    const own = data.find(
      (comment) =>
        comment.body?.includes(line) === true &&
        (comment.user?.login === botLogin || comment.performed_via_github_app?.id === appId),
    );
    if (own !== undefined) return { id: own.id, url: own.html_url };
  }
  return null;
}
