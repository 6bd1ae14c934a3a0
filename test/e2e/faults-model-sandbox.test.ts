/** The model, the sandbox and the embedded Redis end, hang or run full under running tasks. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ScriptedModel, startScriptedModel } from '../model/model.ts';
import {
  askToStop,
  attemptsOf,
  BARE,
  CHECKED,
  changes,
  HANGING,
  hangsFirst,
  hangsInPlan,
  killSandbox,
  statusOf,
  untilGone,
} from './faults.ts';
import { below, eventsOf, startWay, type Way } from './way.ts';

const ON_VICTIM = { ...BARE, '.github/coatcheck.yml': 'model: victim\n' };
/** Little memory, and a command that wants ever more. */
const HOG = 'python3 -c "a = []\nwhile True: a.append(bytearray(10**7))"';
const HUNGRY = {
  ...BARE,
  '.github/coatcheck.yml': `limits:\n  memory: 400 MiB\n  work_disk: 64 MiB\n  tmp_disk: 64 MiB\ncommands:\n  test: sh hog.sh\n`,
  'hog.sh': `${HOG}\n`,
};

const release = new AsyncDisposableStack();
let way: Way;
let victim: ScriptedModel;

before(async () => {
  const dialect = 'anthropic-messages';
  victim = release.use(await startScriptedModel({ dialect, script: hangsInPlan('fault-killed', 9) }));
  const model = await startScriptedModel({
    dialect,
    script: [
      ...hangsInPlan('fault-silent', 9),
      ...hangsFirst('fault-once', 1),
      ...hangsFirst('fault-always', 9),
      ...changes('fault-hungry'),
      ...changes('fault-waiting'),
    ],
  });
  release.use(model);
  const entry = { dialect, key_env: 'MODEL_KEY' };
  way = await startWay({
    script: [],
    policy: {
      models: [
        { ...entry, name: 'scripted', base_url: model.url },
        { ...entry, name: 'victim', base_url: victim.url },
      ],
    },
    environment: { COATCHECK_HOST_SLOTS: '4' },
  });
  release.use(way);
});

after(() => release.disposeAsync());

const hangs = (text: string) => text === HANGING;

test('what dies under a task', { concurrency: true, timeout: 120_000 }, async (t) => {
  const killed = Promise.withResolvers<void>();
  const first = t.test('a model that is killed ends the task, with the reason on the issue', async () => {
    const running = await way.begin({ title: 'fault-killed', files: ON_VICTIM });
    await running.event('step.started', ({ step }) => step === 'plan');
    process.kill(victim.pid, 'SIGKILL');
    killed.resolve();
    const outcome = await running.outcome;
    assert.deepEqual([outcome.end.task.state, outcome.end.task.reason], ['failed', 'model_unavailable']);
    assert.match(statusOf(outcome), /^\*\*Failed\*\*: The model could not be reached/);
    assert.equal(outcome.pull, undefined);
    assert.equal((await attemptsOf(way, outcome)).length, 1);
  });
  // The task is given up only after many tries: the others go on meanwhile.
  await Promise.race([killed.promise, first]);
  await Promise.all([
    first,

    t.test('a model that says nothing holds up nobody else, and the task can be stopped', async () => {
      const running = await way.begin({ title: 'fault-silent', files: BARE });
      await running.event('step.started', ({ step }) => step === 'plan');
      const stop = await askToStop(way.forge, running);
      assert.equal((await stop.answered()).reaction, 'eyes');
      const outcome = await running.outcome;
      assert.deepEqual([outcome.end.task.state, outcome.end.task.reason], ['cancelled', 'stopped']);
      assert.match(statusOf(outcome), /^\*\*Stopped\*\*: It was stopped\./);
      assert.equal(outcome.pull, undefined);
    }),

    t.test('a sandbox that is killed under a command is replaced by another attempt', async () => {
      const running = await way.begin({ title: 'fault-once', files: CHECKED });
      await running.event('agent.said', ({ text }) => hangs(text));
      await killSandbox(running.task);
      const outcome = await running.outcome;
      assert.equal(outcome.end.task.state, 'ready');
      const attempts = await attemptsOf(way, outcome);
      assert.deepEqual(
        attempts.map(({ end }) => end.reason),
        ['sandbox_died', 'verified'],
      );
      assert.equal(eventsOf(attempts[0]?.events ?? [], 'sandbox.ended')[0]?.cause, 'killed');
      assert.equal(outcome.state.issues.filter(({ repository, pull }) => repository === outcome.repository && pull).length, 1);
    }),

    t.test('a sandbox that is killed in every attempt is not tried for ever', async () => {
      const running = await way.begin({ title: 'fault-always', files: BARE });
      for (let attempt = 1; attempt <= 3; attempt++) {
        let times = 0;
        await running.event('agent.said', ({ text }) => hangs(text) && ++times === attempt);
        await killSandbox(running.task);
      }
      const outcome = await running.outcome;
      assert.deepEqual([outcome.end.task.state, outcome.end.task.reason], ['failed', 'sandbox_died']);
      assert.equal((await attemptsOf(way, outcome)).length, 3);
      assert.match(statusOf(outcome), /The sandbox ended unexpectedly/);
    }),

    t.test('a sandbox without memory is told as that', async () => {
      const outcome = await way.runIssue({ title: 'fault-hungry', files: HUNGRY });
      assert.deepEqual([outcome.end.task.state, outcome.end.task.reason], ['failed', 'out_of_memory'], outcome.end.task.message);
      assert.match(statusOf(outcome), /ran out of memory/);
      for (const { events } of await attemptsOf(way, outcome))
        assert.equal(eventsOf(events, 'sandbox.ended')[0]?.cause, 'out_of_memory');
    }),

    t.test('a killed Redis is started again, and neither what runs nor what waits is lost', async () => {
      const waiting = await way.begin({ title: 'fault-waiting', files: BARE });
      const redis = below(way.deployment.product.pid).find(({ line }) => line.includes('redis-server'));
      assert.ok(redis);
      process.kill(redis.pid, 'SIGKILL');
      await untilGone(redis.pid);
      assert.equal((await waiting.outcome).end.task.state, 'draft');
      const next = below(way.deployment.product.pid).find(({ line }) => line.includes('redis-server'));
      assert.ok(next && next.pid !== redis.pid);
    }),
  ]);
});

test('nothing of it is left', () => way.nothingLeft());
