import { CHECK_TEXT_CHARS, clipLine, clipMarkdown, TITLE_CHARS } from './clip.ts';
import { call } from './failure.ts';
import { makeOnce } from './once.ts';
import type { Access } from './repository.ts';

export interface CheckRunRef {
  id: number;
  url: string;
}

export type Conclusion = 'success' | 'failure' | 'neutral' | 'cancelled' | 'timed_out' | 'action_required';

export type CheckRunContent = ({ status: 'in_progress' } | { status: 'completed'; conclusion: Conclusion }) & {
  /** Markdown; cut to GitHub's limits. */
  output: { title: string; summary: string; text?: string };
  detailsUrl?: string;
};

export type NewCheckRun = CheckRunContent & {
  name: string;
  headSha: string;
  /** Our own name for it, by which it is found again: task and attempt. */
  externalId: string;
};

const body = (content: CheckRunContent) => ({
  status: content.status,
  ...(content.status === 'completed' ? { conclusion: content.conclusion } : {}),
  ...(content.detailsUrl === undefined ? {} : { details_url: content.detailsUrl }),
  output: {
    title: clipLine(content.output.title, TITLE_CHARS),
    summary: clipMarkdown(content.output.summary, CHECK_TEXT_CHARS),
    ...(content.output.text === undefined ? {} : { text: clipMarkdown(content.output.text, CHECK_TEXT_CHARS) }),
  },
});

/** Makes a check run on a commit, unless ours of this external id is there already; that one is then brought up to date. */
export async function createCheckRun(access: Access, wanted: NewCheckRun): Promise<CheckRunRef> {
  const { octokit, at, signal, secondMs } = access;
  return call('Making a check run', signal, async () => {
    const { made, found } = await makeOnce<CheckRunRef>({
      look: () => lookFor(access, wanted),
      make: async () => {
        const { data } = await octokit.rest.checks.create({
          ...at,
          name: wanted.name,
          head_sha: wanted.headSha,
          external_id: wanted.externalId,
          ...body(wanted),
        });
        return { id: data.id, url: data.html_url ?? '' };
      },
      secondMs,
      signal,
    });
    if (found) await octokit.rest.checks.update({ ...at, check_run_id: made.id, ...body(wanted) });
    return made;
  });
}

export async function updateCheckRun({ octokit, at, signal }: Access, id: number, content: CheckRunContent): Promise<void> {
  await call('Updating a check run', signal, () => octokit.rest.checks.update({ ...at, check_run_id: id, ...body(content) }));
}

async function lookFor({ octokit, at, self }: Access, { headSha, name, externalId }: NewCheckRun): Promise<CheckRunRef | null> {
  const { appId } = await self();
  const { data } = await octokit.rest.checks.listForRef({ ...at, ref: headSha, check_name: name, filter: 'all', per_page: 100 });
  const own = data.check_runs.find((run) => run.external_id === externalId && (run.app === null || run.app.id === appId));
  return own === undefined ? null : { id: own.id, url: own.html_url ?? '' };
}
