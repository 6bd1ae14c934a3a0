/** The whole product is killed, or asked to end, with tasks at every stage; then it is started again. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Script } from '../model/script.ts';
import { attemptsOf, BARE, CHECKED, changes, HANGING, hangsFirst, hangsInPlan, hold, nothingOf, statusOf } from './faults.ts';
import {
  below,
  containers,
  type IssueOptions,
  type Outcome,
  type Place,
  pullsOf,
  type Running,
  startWay,
  type Way,
  write,
} from './way.ts';

const release = new AsyncDisposableStack();
let way: Way;

/** In its first attempt the agent leaves a file that makes the verification hang. */
function verifiesSlowly(marker: string): Script {
  const [plan, ...rest] = changes(marker);
  const seen = rest[0]?.seen;
  assert.ok(plan && seen !== undefined);
  return [plan, { turn: 0, offers: 'edit', seen, times: 1, calls: [write('slow', 'yes\n')] }, ...rest];
}
const SLOW_WHEN_TOLD = { ...CHECKED, 'check.sh': 'test ! -e slow || { echo slow; sleep 3600; }\n' };

before(async () => {
  way = release.use(
    await startWay({
      script: [
        ...changes('fault-publishing'),
        ...hangsInPlan('fault-planning', 1),
        ...hangsFirst('fault-working', 1),
        ...verifiesSlowly('fault-verifying'),
        ...changes('fault-waiting'),
        ...hangsFirst('fault-ending', 1),
      ],
      environment: { COATCHECK_HOST_SLOTS: '3', COATCHECK_LEASE_MS: '4000' },
    }),
  );
});
after(() => release.disposeAsync());

/** Hands an issue in whose publication stops at this request. */
async function beginHeld(operation: string) {
  const at = await way.openIssue({ title: 'fault-publishing', files: BARE });
  const holding = await hold(way.forge, at, operation);
  await way.label(at);
  return { at, ...holding };
}

/** Ends the product by a signal, and gives what it left among the processes and containers. */
async function endBy(signal: NodeJS.Signals): Promise<number> {
  const { product } = way.deployment;
  product.kill(signal);
  await product.ended;
  return product.pid;
}

/** The end of a task that an earlier process began, seen from the one that runs now. */
const endOf = async (at: Place): Promise<Outcome> => (await way.follow(at)).outcome;

async function reasonsOf(outcome: Outcome): Promise<string[]> {
  assert.equal(pullsOf(await way.forge.state(), outcome).length, 1, 'one pull request');
  assert.match(statusOf(outcome), /^\*\*Done: /);
  return (await attemptsOf(way, outcome)).map(({ end }) => end.reason);
}

test('a product that is killed with tasks at every stage ends each of them once, and well', { timeout: 150_000 }, async (t) => {
  const held = await Promise.all(
    [
      '^POST /repos/\\{owner\\}/\\{repo\\}/pulls$',
      '^git git-receive-pack$',
      '^POST /repos/\\{owner\\}/\\{repo\\}/check-runs$',
    ].map(beginHeld),
  );
  const [pull, push, check] = held;
  assert.ok(pull && push && check);
  await Promise.all(held.map((one) => one.held()));

  const begin = (title: string, files: IssueOptions['files']): Promise<Running> => way.begin({ title, files: files ?? {} });
  const [planning, working, verifying] = await Promise.all([
    begin('fault-planning', CHECKED),
    begin('fault-working', CHECKED),
    begin('fault-verifying', SLOW_WHEN_TOLD),
  ]);
  await Promise.all([
    planning.event('step.started', ({ step }) => step === 'plan'),
    working.event('agent.said', ({ text }) => text === HANGING),
    verifying.event('output', ({ text }) => text.startsWith('slow')),
  ]);
  const waiting = await begin('fault-waiting', BARE);

  const dead = await endBy('SIGKILL');
  assert.equal((await containers(`coatcheck.pid=${dead}`)).length, 3, 'it leaves its sandboxes');
  // What it had sent may still take effect: the check run before the new process looks, the others long after.
  await check.release();
  await way.deployment.restart();
  assert.deepEqual(await containers(`coatcheck.pid=${dead}`), [], 'they are swept at the start');
  nothingOf([dead]);
  assert.ok(below(way.deployment.product.pid).some(({ line }) => line.includes('redis-server')));

  const outcomes = await Promise.all([planning, working, verifying, waiting, pull.at, push.at, check.at].map(endOf));
  await pull.release();
  await push.release();
  await way.forge.waitFor(({ misbehaviour }) => misbehaviour.every(({ holding }) => holding === 0));
  const [planned, worked, verified, waited, ...published] = outcomes;
  assert.ok(planned && worked && verified && waited);
  for (const [stage, outcome] of Object.entries({ planned, worked, verified })) {
    await t.test(`${stage}: by another attempt`, async () => {
      assert.equal(outcome.end.task.state, 'ready');
      assert.deepEqual(await reasonsOf(outcome), ['host_lost', 'verified']);
    });
  }
  for (const [stage, outcome] of [
    ['waiting', waited],
    ...published.map((one, n) => [`publishing ${n + 1}`, one] as const),
  ] as const) {
    await t.test(`${stage}: in its first attempt`, async () => {
      assert.deepEqual(await reasonsOf(outcome), ['nothing_to_verify']);
      const runs = (await way.forge.state()).checkRuns.filter(({ repository }) => repository === outcome.repository);
      assert.deepEqual(
        runs.map(({ status, headSha }) => [status, headSha]),
        [['completed', outcome.end.traces.commit]],
      );
    });
  }
});

test('a product that is asked to end hands back what it cannot finish, and leaves nothing', { timeout: 90_000 }, async () => {
  const running = await way.begin({ title: 'fault-ending', files: CHECKED });
  await running.event('agent.said', ({ text }) => text === HANGING);
  const ended = await endBy('SIGTERM');
  assert.equal(await way.deployment.product.ended, 0);
  assert.deepEqual(await containers(`coatcheck.pid=${ended}`), []);
  nothingOf([ended]);
  const live = (await way.forge.state()).tokens.filter(({ state }) => state === 'live');
  assert.equal(live.filter(({ repositories }) => repositories?.includes(running.repository)).length, 0, 'every token is revoked');

  await way.deployment.restart();
  const outcome = await endOf(running);
  assert.equal(outcome.end.task.state, 'ready');
  assert.deepEqual(await reasonsOf(outcome), ['host_lost', 'verified']);
});

test('nothing of it is left', () => way.nothingLeft());
