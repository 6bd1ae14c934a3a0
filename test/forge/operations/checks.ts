/** https://docs.github.com/en/rest/checks/runs : made and changed by apps only, each by its own app. */
import { z } from 'zod';
import { type Call, type Handlers, numberParam, page, param, repositoryOf } from '../call.ts';
import { announceCheck, checkRunShape } from '../checks.ts';
import type { CheckRun } from '../entities.ts';
import { ApiFailure, invalid, notAccessible, notFound } from '../failure.ts';
import { authorOf } from '../issues.ts';
import { resolveRef } from '../pulls.ts';

/** GitHub's limit for `summary` and `text` each. */
const MAX_OUTPUT = 65_535;

const CONCLUSIONS = ['action_required', 'cancelled', 'failure', 'neutral', 'success', 'skipped', 'stale', 'timed_out'] as const;
const Change = z.looseObject({
  name: z.string().optional(),
  head_sha: z.string().optional(),
  details_url: z.string().optional(),
  external_id: z.string().optional(),
  status: z.enum(['queued', 'in_progress', 'completed', 'waiting', 'requested', 'pending']).optional(),
  started_at: z.string().optional(),
  completed_at: z.string().optional(),
  conclusion: z.enum(CONCLUSIONS).optional(),
  output: z.looseObject({ title: z.string().optional(), summary: z.string().optional(), text: z.string().optional() }).optional(),
});

function apply(call: Call, run: CheckRun, change: z.infer<typeof Change>): void {
  if (change.status === 'completed' && change.conclusion === undefined && run.conclusion === null) {
    throw invalid({ resource: 'CheckRun', code: 'missing_field', field: 'conclusion' });
  }
  for (const field of ['summary', 'text'] as const) {
    if ((change.output?.[field]?.length ?? 0) > MAX_OUTPUT) {
      throw new ApiFailure(
        422,
        `Invalid request.\n\nOnly ${MAX_OUTPUT} characters are allowed; ${change.output?.[field]?.length} were supplied.`,
      );
    }
  }
  const completed = change.conclusion !== undefined || change.status === 'completed';
  const status = completed ? 'completed' : change.status;
  if (status === 'queued' || status === 'in_progress' || status === 'completed') run.status = status;
  if (status === 'in_progress' || status === 'queued') {
    run.conclusion = null;
    run.completedAt = null;
  }
  run.name = change.name ?? run.name;
  run.detailsUrl = change.details_url ?? run.detailsUrl;
  run.externalId = change.external_id ?? run.externalId;
  run.startedAt = change.started_at ?? run.startedAt;
  run.conclusion = change.conclusion ?? run.conclusion;
  if (completed) run.completedAt = change.completed_at ?? call.world.timestamp();
  if (change.output) {
    const { title, summary, text } = change.output;
    run.output = { title: title ?? run.output.title, summary: summary ?? run.output.summary, text: text ?? run.output.text };
  }
  call.world.touch();
}

async function create(call: Call) {
  const { world } = call;
  const repository = repositoryOf(call);
  const app = world.appOf(call.actor);
  if (!app) throw notAccessible();
  const change = Change.parse(call.body);
  const headSha = change.head_sha ?? '';
  const known = /^[0-9a-f]{40}$/.test(headSha) && (await resolveRef(world, repository.directory, headSha)) === headSha;
  if (!known) throw new ApiFailure(422, `No commit found for SHA: ${headSha}`);
  const suite = world.checkRuns.find((run) => run.repository === repository && run.app === app && run.headSha === headSha);
  const run: CheckRun = {
    id: world.id(),
    suiteId: suite?.suiteId ?? world.id(),
    repository,
    app,
    headSha,
    name: change.name ?? '',
    status: 'queued',
    conclusion: null,
    detailsUrl: null,
    externalId: '',
    startedAt: world.timestamp(),
    completedAt: null,
    output: { title: null, summary: null, text: null },
  };
  apply(call, run, change);
  world.checkRuns.push(run);
  world.touch();
  announceCheck(call, run, authorOf(call).account, 'created');
  if (run.status === 'completed') announceCheck(call, run, authorOf(call).account, 'completed');
  return { status: 201, body: checkRunShape(world, run) };
}

function runOf(call: Call): CheckRun {
  const repository = repositoryOf(call);
  const run = call.world.checkRuns.find(
    (known) => known.id === numberParam(call, 'check_run_id') && known.repository === repository,
  );
  if (!run) throw notFound();
  return run;
}

function change(call: Call) {
  const run = runOf(call);
  if (call.world.appOf(call.actor) !== run.app)
    throw new ApiFailure(
      403,
      'Invalid app_id `' +
        (call.world.appOf(call.actor)?.id ?? '') +
        '` - check run can only be modified by the GitHub App that created it.',
    );
  const was = run.status;
  apply(call, run, Change.parse(call.body ?? {}));
  if (run.status === 'completed' && was !== 'completed') announceCheck(call, run, authorOf(call).account, 'completed');
  return { status: 200, body: checkRunShape(call.world, run) };
}

async function listForRef(call: Call) {
  const { world } = call;
  const repository = repositoryOf(call);
  const ref = param(call, 'ref');
  const sha =
    (await resolveRef(world, repository.directory, `refs/heads/${ref}`)) ?? (await resolveRef(world, repository.directory, ref));
  if (sha === null) throw new ApiFailure(422, `No commit found for SHA: ${ref}`);
  const name = call.query.get('check_name');
  const appId = call.query.get('app_id');
  const status = call.query.get('status');
  const matching = world.checkRuns.filter(
    (run) =>
      run.repository === repository &&
      run.headSha === sha &&
      (name === null || run.name === name) &&
      (appId === null || String(run.app.id) === appId) &&
      (status === null || run.status === status),
  );
  // `latest` is the default filter: of runs of one app and name, the youngest.
  const latest = matching.filter(
    (run) => !matching.some((other) => other.id > run.id && other.app === run.app && other.name === run.name),
  );
  const shown = (call.query.get('filter') === 'all' ? matching : latest).toReversed();
  const { items, headers } = page(call, `/repos/${repository.owner.login}/${repository.name}/commits/${ref}/check-runs`, shown);
  return { status: 200, body: { total_count: shown.length, check_runs: items.map((run) => checkRunShape(world, run)) }, headers };
}

export const checks: Handlers = {
  'POST /repos/{owner}/{repo}/check-runs': create,
  'PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}': change,
  'GET /repos/{owner}/{repo}/check-runs/{check_run_id}': (call) => ({
    status: 200,
    body: checkRunShape(call.world, runOf(call)),
  }),
  'GET /repos/{owner}/{repo}/commits/{ref}/check-runs': listForRef,
};
