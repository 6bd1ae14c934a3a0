/** Check runs as they look outside, and their events. */
import type { Context } from './call.ts';
import type { Account, CheckRun } from './entities.ts';
import { apiOf, appShape, pageOf, type Shape } from './represent.ts';
import { nodeId, type World } from './world.ts';

function pullsOf(world: World, run: CheckRun): Shape[] {
  const { repository } = run;
  const url = apiOf(world, repository);
  const repo = { id: repository.id, url, name: repository.name };
  return world.issues
    .filter((issue) => issue.repository === repository && issue.state === 'open' && issue.pull?.headSha === run.headSha)
    .map((issue) => ({
      url: `${url}/pulls/${issue.number}`,
      id: issue.id,
      number: issue.number,
      head: { ref: issue.pull?.headRef, sha: issue.pull?.headSha, repo },
      base: { ref: issue.pull?.baseRef, sha: issue.pull?.baseSha, repo },
    }));
}

export function checkRunShape(world: World, run: CheckRun): Shape {
  const url = `${apiOf(world, run.repository)}/check-runs/${run.id}`;
  const page = `${pageOf(world, run.repository)}/runs/${run.id}`;
  return {
    id: run.id,
    name: run.name,
    node_id: nodeId('CR', run.id),
    head_sha: run.headSha,
    external_id: run.externalId,
    url,
    html_url: page,
    details_url: run.detailsUrl ?? page,
    status: run.status,
    conclusion: run.conclusion,
    started_at: run.startedAt,
    completed_at: run.completedAt,
    output: { ...run.output, annotations_count: 0, annotations_url: `${url}/annotations` },
    check_suite: { id: run.suiteId },
    app: appShape(world, run.app),
    pull_requests: pullsOf(world, run),
  };
}

export function announceCheck({ world, deliveries }: Context, run: CheckRun, sender: Account, action: string): void {
  const { suiteId, headSha, app, repository } = run;
  const shape = checkRunShape(world, run);
  const branch =
    world.issues.find((issue) => issue.repository === repository && issue.pull?.headSha === headSha)?.pull?.headRef ?? null;
  const suite = {
    id: suiteId,
    node_id: nodeId('CS', suiteId),
    head_branch: branch,
    head_sha: headSha,
    status: run.status,
    conclusion: run.conclusion,
    url: `${apiOf(world, repository)}/check-suites/${suiteId}`,
    before: null,
    after: headSha,
    pull_requests: shape['pull_requests'],
    app: shape['app'],
    created_at: run.startedAt,
    updated_at: world.timestamp(),
  };
  deliveries.emit({
    event: 'check_run',
    action,
    sender,
    repository,
    // A request to run again goes to the app that made the run, the rest to whoever subscribed.
    ...(action === 'rerequested' ? { only: app } : {}),
    payload: { check_run: { ...shape, check_suite: suite } },
  });
}
