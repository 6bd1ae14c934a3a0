/** GitHub loses answers, refuses, breaks or forgets tokens; and somebody stops a task while it is published. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type MisbehaviourRule, secondaryLimit } from '../forge/forge.ts';
import { askToStop, attemptsOf, BARE, CHECKED, changes, hitsOf, hold, misbehaveAt, statusOf } from './faults.ts';
import { eventsOf, type Outcome, pullsOf, type Running, startWay, type Way } from './way.ts';

const MARKER = 'fault-github';
const release = new AsyncDisposableStack();
let way: Way;

before(async () => {
  way = release.use(await startWay({ script: changes(MARKER), environment: { COATCHECK_HOST_SLOTS: '4' } }));
});
after(() => release.disposeAsync());

/** Begins a task whose repository meets these rules from its trigger on. */
async function beginAmid(rules: readonly MisbehaviourRule[], files: Readonly<Record<string, string>> = BARE) {
  const at = await way.openIssue({ title: MARKER, files });
  const ids: number[] = [];
  for (const { operation = '', ...rule } of rules) ids.push((await misbehaveAt(way.forge, at, operation, rule)).id);
  await way.label(at);
  return { running: await way.follow(at), ids };
}

/** One pull request with one check run that tells the end, and one status comment: whatever happened on the way. */
async function publishedOnce(outcome: Outcome, state: 'ready' | 'draft'): Promise<void> {
  const { end, pull, task, repository } = outcome;
  assert.equal(end.task.state, state, end.task.message);
  assert.equal(end.attempt, 1, 'publishing is no reason for another attempt');
  await attemptsOf(way, outcome);
  assert.equal(pullsOf(outcome.state, outcome).length, 1);
  assert.ok(pull?.body?.includes(`coatcheck:task=${task}`));
  assert.equal(pull?.pull?.headSha, end.traces.commit);
  const runs = outcome.state.checkRuns.filter((run) => run.repository === repository);
  assert.deepEqual(
    runs.map(({ status, externalId, headSha }) => ({ status, externalId, headSha })),
    [{ status: 'completed', externalId: task, headSha: end.traces.commit }],
  );
  assert.match(statusOf(outcome), /^\*\*Done: /);
}

const lost = { do: 'drop_after' } as const;
const PULLS = '^POST /repos/\\{owner\\}/\\{repo\\}/pulls$';
const PUSH = '^git git-receive-pack$';
const COMMENT = '^POST /repos/\\{owner\\}/\\{repo\\}/issues/\\{issue_number\\}/comments$';
const CHECK_RUNS = '^(?:POST|PATCH) /repos/\\{owner\\}/\\{repo\\}/check-runs';
const PERMISSION = '^GET /repos/\\{owner\\}/\\{repo\\}/collaborators';

/** Trouble by name: what GitHub does, and how often a task must meet it. */
const TROUBLES: Readonly<Record<string, { rules: readonly MisbehaviourRule[]; files?: typeof CHECKED }>> = {
  'the answers to the push, the pull request, the check run and the comment are lost': {
    files: CHECKED,
    rules: [PUSH, PULLS, CHECK_RUNS, COMMENT].map((operation) => ({ operation, action: lost })),
  },
  'a secondary limit stands before the comment and the pull request': {
    rules: [COMMENT, PULLS].map((operation) => ({ operation, action: secondaryLimit(1) })),
  },
  'check runs answer 502, twice': {
    rules: [{ operation: CHECK_RUNS, times: 2, action: { do: 'answer', status: 502 } }],
  },
  'the product’s own token is not taken any more, before the work and before publishing': {
    rules: [{ operation: PERMISSION, times: 2, action: { do: 'answer', status: 401, body: { message: 'Bad credentials' } } }],
  },
};

const publishing = ({ event }: Running) => event('step.started', ({ step }) => step === 'publish');

test('publishing amid trouble', { concurrency: true, timeout: 120_000 }, async (t) => {
  await Promise.all([
    ...Object.entries(TROUBLES).map(([name, { rules, files }]) =>
      t.test(name, async () => {
        const { running, ids } = await beginAmid(rules, files);
        const outcome = await running.outcome;
        for (const [index, { times = 1, operation }] of rules.entries())
          assert.equal(hitsOf(outcome.state, ids[index] ?? 0), times, `${operation} met its trouble`);
        await publishedOnce(outcome, files === undefined ? 'draft' : 'ready');
      }),
    ),

    t.test('a stop before anything is published is acknowledged, and nothing is', async () => {
      const { running } = await beginAmid([]);
      await running.event('repository.laid_in');
      // The host has its base: the next who fetches is the quarantine.
      const fetching = await hold(way.forge, running, '^git info/refs git-upload-pack$');
      await fetching.held();
      const stop = await askToStop(way.forge, running);
      assert.equal((await stop.answered()).reaction, 'eyes');
      await fetching.release();
      const outcome = await running.outcome;
      assert.deepEqual([outcome.end.task.state, outcome.end.task.reason], ['cancelled', 'stopped']);
      assert.deepEqual([outcome.pull, outcome.end.traces.commit], [undefined, null]);
      const refs = outcome.state.repositories.find(({ fullName }) => fullName === outcome.repository)?.refs ?? {};
      assert.deepEqual(Object.keys(refs), ['refs/heads/main'], 'no branch either');
      assert.equal(eventsOf(outcome.events, 'branch.pushed').length, 0);
      await attemptsOf(way, outcome);
    }),

    t.test('a stop that comes when the push is under way is too late, and everything is published', async () => {
      const { running } = await beginAmid([]);
      const push = await hold(way.forge, running, PUSH);
      await push.held();
      await publishing(running);
      const stop = await askToStop(way.forge, running);
      await stop.taken();
      // Whoever waits for that repository holds up no other.
      const other = await beginAmid([]);
      await other.running.event('task.accepted');
      await push.release();
      const { reaction } = await stop.answered();
      assert.equal(reaction, 'confused');
      await publishedOnce(await running.outcome, 'draft');
      await publishedOnce(await other.running.outcome, 'draft');
    }),
  ]);
});

test('tokens that live for moments only are made anew in time', { timeout: 60_000 }, async () => {
  const { id } = await way.forge.misbehave({ times: 1000, action: { do: 'short_token', lifeMs: 3000 } });
  const outcome = await way.runIssue({ title: MARKER, files: CHECKED });
  await way.forge.release(id);
  assert.ok(hitsOf(outcome.state, id) > 4);
  await publishedOnce(outcome, 'ready');
});

test('nothing of it is left', () => way.nothingLeft());
