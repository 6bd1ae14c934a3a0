import type { QuarantineReport } from '../git/judge-change.ts';
import type { Task } from '../task/task.ts';
import type { WorkOrder } from '../task/work-order.ts';
import type { ControlParts } from './parts.ts';
import { MAY_WRITE } from './permission.ts';

/**
 * Adds to what the quarantine found what only GitHub knows: whether the words that the agent worked by are of somebody
 * who may write. Published, a change runs in the owner's CI, with what that has of rights and secrets; so what somebody
 * without write permission asked for is, by default, held until a person has looked at it.
 */
export async function withOrigin(
  report: QuarantineReport,
  { task, work, github }: { task: Task; work: WorkOrder } & Pick<ControlParts, 'github'>,
): Promise<QuarantineReport> {
  const { author } = task.issue;
  // Whether who asked may still write is looked at when it is published.
  if (author.id === task.actor.id) return report;
  const role = await github.installation(task.installation).permissionOf(task.repository, author.login, author.id);
  if (MAY_WRITE.has(role)) return report;
  const outcome = work.quarantine.outside_text;
  const detail = `The issue is by @${author.login}, who has “${role}” permission on this repository.`;
  return {
    ...report,
    verdict: report.verdict === 'refused' || outcome === 'refuse' ? 'refused' : outcome === 'hold' ? 'held' : report.verdict,
    findings: [...report.findings, { rule: 'outside_text', path: '', detail, outcome }],
  };
}
