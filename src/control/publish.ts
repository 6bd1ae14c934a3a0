import { makeCommit } from '../git/commit.ts';
import type { JudgedFinding, QuarantineReport } from '../git/judge-change.ts';
import { pushBranch } from '../git/push.ts';
import type { Quarantine } from '../git/quarantine.ts';
import type { Attempt } from '../store/attempts.ts';
import type { FinishRequest } from '../task/protocol.ts';
import type { Task } from '../task/task.ts';
import type { WorkOrder } from '../task/work-order.ts';
import { commitMessage, findingList, heldWords, pullRequestText } from './comments.ts';
import { type Ending, ending } from './ending.ts';
import { digestOf } from './fencing.ts';
import { withOrigin } from './origin.ts';
import type { ControlParts } from './parts.ts';
import { MAY_WRITE } from './permission.ts';
import type { AttemptRef } from './record.ts';
import { endingOf as endingOfVerdict } from './words.ts';

type Change = Extract<FinishRequest['outcome'], { outcome: 'change' }>;

/** What the steps of one publication share. */
interface Publication {
  readonly parts: ControlParts;
  readonly ref: AttemptRef;
  readonly attempt: Attempt;
  readonly change: Change;
  readonly task: Task;
  readonly work: WorkOrder;
  readonly bundle: string;
}

/**
 * From opaque bytes to a pull request: quarantine, commit, push, pull request, check run. Each step can be repeated.
 */
export async function publishChange(parts: ControlParts, ref: AttemptRef, attempt: Attempt, change: Change): Promise<Ending> {
  const { store, recorder } = parts;
  const { task, work } = await store.tasks.get(ref.task);
  const { bundle } = attempt;
  if (work === null || bundle === null) return ending('internal', 'The change was not handed over.');
  if (task.state === 'running') await store.tasks.move(task.id, { to: 'publishing', message: 'The change is being checked.' });
  parts.follow.touch(task.id);

  const publication: Publication = { parts, ref, attempt, change, task, work, bundle };
  const read = await parts.credentials.mintRead(ref, task);
  await using held = new AsyncDisposableStack();
  const { quarantine, report } = await recorder.step(ref, 'quarantine', async () => {
    const opened = held.use(await open(publication, read.token));
    return { quarantine: opened, report: await look(publication, opened) };
  });
  if (report.verdict !== 'clean') return notPublished(parts, ref, report);
  const commit = await recorder.step(ref, 'commit', () => makeTheCommit(publication, quarantine));
  return await recorder.step(ref, 'publish', () =>
    // The same turn in which a stop is acknowledged: after the acknowledgement nothing is published.
    parts.publishing(task.id, () => publish(publication, quarantine, commit, report.findings)),
  );
}

const open = ({ parts, ref, task, work }: Publication, token: string): Promise<Quarantine> =>
  parts.changes.quarantine(
    ref,
    { remote: parts.remoteOf(task.repository, token), base: task.base.sha, byteLimit: work.limits.repositoryBytes },
    parts.signal,
  );

async function look({ parts, ref, change, task, work, bundle }: Publication, quarantine: Quarantine): Promise<QuarantineReport> {
  const { changeBytes, changedFiles } = work.limits;
  const found = await quarantine.check({
    bundle,
    expectedTree: change.verification.tree,
    limits: { bytes: changeBytes, files: changedFiles },
    protectedPaths: work.protectedPaths,
    policy: work.quarantine,
    signal: parts.signal,
  });
  const report = await withOrigin(found, { task, work, github: parts.github });
  await parts.store.tasks.keepDiff(task.id, report.diff);
  await parts.recorder.control(ref, {
    type: 'quarantine.checked',
    verdict: report.verdict,
    tree: report.tree,
    files: report.files.slice(0, 1000).map(({ path, change: kind, mode }) => ({ path, change: kind, mode })),
    scanner: report.scanner,
    findings: report.findings.slice(0, 1000),
    diffDigest: digestOf(report.diff),
  });
  return report;
}

/** The end of a change that is not published, with what decided it and what a person can do. */
async function notPublished(parts: ControlParts, ref: AttemptRef, { verdict, findings }: QuarantineReport): Promise<Ending> {
  const decided = verdict === 'held' ? 'hold' : 'refuse';
  const list = findingList(findings.filter(({ outcome }) => outcome === decided));
  if (verdict === 'refused') return ending('quarantine', `\n\n${list}\n\nThe change is on the task page.`);
  const until = await parts.changes.keptUntil(ref);
  return ending('approval_needed', `\n\n${list}\n\n${heldWords(until)}`);
}

async function makeTheCommit({ parts, ref, attempt, change, task }: Publication, quarantine: Quarantine): Promise<string> {
  const { tree } = change.verification;
  const parent = task.base.sha;
  const sha = await makeCommit(quarantine, {
    tree,
    parent,
    author: parts.identity,
    committer: parts.identity,
    message: commitMessage(task, change.summary),
    // Fixed by the attempt, so that a repetition makes the very same commit.
    date: new Date(attempt.startedAt ?? task.createdAt),
    signal: parts.signal,
  });
  await parts.recorder.control(ref, { type: 'commit.made', sha, tree, parent });
  return sha;
}

/** Everything that others can see; nothing of it after a stop, or by somebody who lost the right to ask for it. */
async function publish(
  publication: Publication,
  quarantine: Quarantine,
  commit: string,
  notes: readonly JudgedFinding[],
): Promise<Ending> {
  const { parts, ref, task, change } = publication;
  const { stop } = await parts.store.tasks.get(task.id);
  if (stop !== null) return ending('stopped', `Asked for by @${stop.by}; nothing was published.`);
  const role = await parts.github.installation(task.installation).permissionOf(task.repository, task.actor.login, task.actor.id);
  if (!MAY_WRITE.has(role))
    return ending('policy', `@${task.actor.login} has “${role}” permission now, and publishing needs write.`);

  const { token } = await parts.credentials.mintWrite(ref, task);
  const remote = parts.remoteOf(task.repository, token);
  const pushed = await pushBranch(quarantine, { remote, branch: task.branch, sha: commit, expected: null, signal: parts.signal });
  if (pushed.kind === 'moved') return ending('publish_failed', `Somebody else pushed to ${task.branch}.`);
  await parts.recorder.control(ref, { type: 'branch.pushed', branch: task.branch, sha: commit, before: null });
  await parts.store.tasks.trace(task.id, { commit });

  const end = endingOfVerdict(change.verification.verdict);
  await openPullRequest(publication, end.state === 'draft', notes);
  await parts.checks.open(ref, commit);
  return end;
}

async function openPullRequest(
  { parts, ref, attempt, change, task }: Publication,
  draft: boolean,
  notes: readonly JudgedFinding[],
): Promise<void> {
  const installation = parts.github.installation(task.installation);
  const plan = attempt.finish?.plan ?? null;
  const text = (marked: boolean) => pullRequestText(task, { ...change, notes }, plan, parts.pageOf(task.id), marked);
  const request = { head: task.branch, base: task.base.ref, draft };
  let opened = await installation.createPullRequest(task.repository, { ...request, ...text(false) });
  // A plan without drafts gets a pull request that says so in its title, under a red check.
  if (opened.kind === 'draft_unavailable') {
    opened = await installation.createPullRequest(task.repository, { ...request, draft: false, ...text(true) });
  }
  if (opened.kind === 'draft_unavailable') throw new Error('GitHub refuses a draft that was not asked for.');
  const { number, url, found } = opened;
  await parts.recorder.control(ref, { type: 'pull_request', number, url, draft: opened.draft, found }, 'github');
  await parts.store.tasks.trace(task.id, { pullRequest: { number, url, draft: opened.draft } });
}
