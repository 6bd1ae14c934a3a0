import { call, statusOf } from './failure.ts';
import type { Access } from './repository.ts';

/** What a reaction or label stands on: an issue (or pull request) by number, or a comment on one by id. */
export type ReactionTarget = { kind: 'issue'; number: number } | { kind: 'comment'; id: number };
export type Reaction = '+1' | '-1' | 'laugh' | 'confused' | 'heart' | 'hooray' | 'rocket' | 'eyes';

/** Reacts; GitHub answers with the reaction that is there when it was given before, so a repetition does no harm. */
export async function react({ octokit, at, signal }: Access, target: ReactionTarget, content: Reaction): Promise<{ id: number }> {
  const idempotent = { ...at, content, request: { ...at.request, retries: 3 } };
  return call('Reacting', signal, async () => {
    const { data } =
      target.kind === 'issue'
        ? await octokit.rest.reactions.createForIssue({ ...idempotent, issue_number: target.number })
        : await octokit.rest.reactions.createForIssueComment({ ...idempotent, comment_id: target.id });
    return { id: data.id };
  });
}

/** Takes own reactions of this content back; those of others stay. */
export async function unreact({ octokit, at, signal, self }: Access, target: ReactionTarget, content: Reaction): Promise<void> {
  await call('Taking a reaction back', signal, async () => {
    const { botLogin } = await self();
    const listed = { ...at, content, per_page: 100 };
    const { data } =
      target.kind === 'issue'
        ? await octokit.rest.reactions.listForIssue({ ...listed, issue_number: target.number })
        : await octokit.rest.reactions.listForIssueComment({ ...listed, comment_id: target.id });
    for (const { id, user } of data) {
      if (user?.login !== botLogin) continue;
      const gone =
        target.kind === 'issue'
          ? octokit.rest.reactions.deleteForIssue({ ...at, issue_number: target.number, reaction_id: id })
          : octokit.rest.reactions.deleteForIssueComment({ ...at, comment_id: target.id, reaction_id: id });
      await gone.catch(ignoreMissing);
    }
  });
}

/** Takes a label off; false when it was not on. */
export async function removeLabel({ octokit, at, signal }: Access, issue: number, name: string): Promise<boolean> {
  return call(`Taking the label ${name} off`, signal, async () => {
    try {
      await octokit.rest.issues.removeLabel({ ...at, issue_number: issue, name });
      return true;
    } catch (error) {
      ignoreMissing(error);
      return false;
    }
  });
}

function ignoreMissing(error: unknown): void {
  if (statusOf(error) !== 404) throw error;
}
