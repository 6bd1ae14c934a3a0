/** What starts a task and what does not, what stops one, and that neither can be had twice. */
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { WEBHOOK_PATH } from '../../src/app.ts';
import type { ForgeState } from '../forge/forge.ts';
import {
  containers,
  eventsOf,
  HUMAN,
  issueAt,
  type Outcome,
  type Place,
  pullsOf,
  type Running,
  run,
  scenario,
  startWay,
  type Way,
  write,
} from './way.ts';

/** May label on GitHub, and not push. */
const TRIAGER = 'tara';
const MACHINE_USER = 'work-taker';
const FILES = { 'AGENTS.md': '## Commands\n\n- `true` - run the tests\n', 'value.txt': 'red\n' };
/** Its task ends at once, before any sandbox. */
const QUICK = { '.github/coatcheck.yml': 'no_such_key: 1\n' };
const PEOPLE = { [HUMAN]: 'write', [TRIAGER]: 'triage' } as const;

/** A delivery as GitHub sends it, signed with the App's secret or with another. */
async function deliver(way: Way, payload: object, { guid = randomUUID() as string, secret = way.deployment.webhookSecret } = {}) {
  const body = JSON.stringify(payload);
  const response = await fetch(`${way.url}${WEBHOOK_PATH}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-github-event': 'comment' in payload ? 'issue_comment' : 'issues',
      'x-github-delivery': guid,
      'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
    },
    body,
  });
  await response.text();
  return response.status;
}

type Sender = { readonly id: number; readonly login: string; readonly type: string };

/** What the fields of a delivery about an issue are, as far as anybody reads them. */
function about(state: ForgeState, at: Place, sender: Sender) {
  const [owner = '', name = ''] = at.repository.split('/');
  const repository = state.repositories.find(({ fullName }) => fullName === at.repository);
  const installation = state.installations.find(({ account }) => account === owner);
  const { title, body } = issueAt(state, at);
  return {
    issue: { number: at.number, title, body, state: 'open', user: sender },
    repository: { id: repository?.id, name, owner: { login: owner }, private: true, default_branch: 'main' },
    sender,
    installation: { id: installation?.id },
  };
}

const labelled = (state: ForgeState, at: Place, sender: Sender) => ({
  action: 'labeled',
  label: { name: 'coatcheck' },
  ...about(state, at, sender),
});

/** What the product says on an issue. */
const commentsOn = (state: ForgeState, at: Place): string[] =>
  issueAt(state, at).comments.flatMap(({ author, body }) => (author === 'coatcheck[bot]' ? [body] : []));

describe('triggers', { concurrency: 2 }, () => {
  describe('webhooks', { concurrency: 1 }, () => {
    let way: Way;
    let ada: Sender;

    before(async () => {
      way = await startWay({
        script: [
          ...scenario('case-long', { rounds: [[{ calls: [run('echo began'), run('sleep 600', 600)] }, { text: 'Never said' }]] }),
          ...scenario('case-revoked', {
            rounds: [[{ calls: [write('value.txt', 'blue\n')] }, { text: 'Paint it', misbehave: { kind: 'hang' } }]],
          }),
        ],
        policy: { triggers: { assignee: MACHINE_USER }, limits: { command: '5 min' } },
        environment: { COATCHECK_HOST_SLOTS: '2' },
      });
      ada = { ...(await way.forge.createUser(HUMAN)), type: 'User' };
      await way.forge.createUser(TRIAGER);
      await way.forge.createUser(MACHINE_USER);
    });
    after(() => way?.close());

    const open = (title: string, files: typeof FILES | typeof QUICK = FILES) =>
      way.openIssue({ title, files, repository: { collaborators: PEOPLE } });
    const say = (at: Place, as: string, body: string) =>
      way.forge.comment({ repository: at.repository, number: at.number, as, body });

    /** What holds of a task that somebody stopped. */
    function isStopped(outcome: Outcome): void {
      const { end, state, repository, events } = outcome;
      assert.deepEqual([end.task.state, end.task.reason], ['cancelled', 'stopped']);
      assert.deepEqual(pullsOf(state, { repository }), []);
      const refs = state.repositories.find(({ fullName }) => fullName === repository)?.refs;
      assert.deepEqual(Object.keys(refs ?? {}), ['refs/heads/main']);
      assert.equal(eventsOf(events, 'stop.asked')[0]?.by, HUMAN);
      assert.match(commentsOn(state, outcome)[0] ?? '', new RegExp(`^\\*\\*Stopped\\*\\*: .*Asked for by .*${HUMAN}`));
    }

    test('20 deliveries at once, of which some are the same: one task', async () => {
      const at = await open('case-long');
      const payload = labelled(await way.forge.state(), at, ada);
      assert.equal(await deliver(way, payload, { secret: 'not the secret of the App' }), 401);
      const guid = randomUUID();
      const statuses = await Promise.all(
        Array.from({ length: 20 }, (_, index) => deliver(way, payload, index < 10 ? { guid } : {})),
      );
      assert.deepEqual([...new Set(statuses)], [200]);
      const task = await way.follow(at);
      assert.deepEqual(await way.tasks(at), [task.task]);
      long = task;
    });
    let long: Running;
    let revoked: Running;

    test('the label again while the task is open, and its delivery again: still one task, and the label is taken off', async () => {
      await way.label(long);
      await way.forge.waitFor((state) => {
        const { timeline } = issueAt(state, long);
        return timeline.filter(({ what }) => what === 'removed the label coatcheck').length === 1;
      });
      const { deliveries } = await way.forge.state();
      const delivery = deliveries.findLast(({ event, action }) => event === 'issues' && action === 'labeled');
      await way.forge.redeliver(delivery?.guid ?? '');
      const state = await way.forge.waitFor((now) =>
        now.deliveries.some(({ redelivery, statusCode }) => redelivery && statusCode > 0),
      );
      assert.equal(state.deliveries.find(({ redelivery }) => redelivery)?.statusCode, 200);
      assert.deepEqual(await way.tasks(long), [long.task]);
    });

    test('own events are passed over', async () => {
      const state = await way.forge.state();
      const { botUser, appId } = way.deployment.app;
      const bot = { ...botUser, type: 'Bot' };
      const at = await open('case-own', QUICK);
      assert.equal(await deliver(way, labelled(await way.forge.state(), at, bot)), 200);
      const comment = { id: 1, body: '/coatcheck stop', performed_via_github_app: { id: appId } };
      assert.equal(await deliver(way, { action: 'created', comment, ...about(state, long, ada) }), 200);
      // The same from a person does count; deliveries of a repository are worked through in their order.
      assert.equal(await deliver(way, labelled(await way.forge.state(), at, ada)), 200);
      const outcome = await (await way.follow(at)).outcome;
      assert.equal(outcome.end.task.actor.login, HUMAN);
      assert.deepEqual(await way.tasks(at), [outcome.task]);
      assert.equal(commentsOn(outcome.state, at).length, 1, 'nor is anything said about them');
    });

    test('a label by somebody who may not push: refused once with the reason, then in silence', async () => {
      const at = await open('case-reader', QUICK);
      await way.label(at, TRIAGER);
      const state = await way.forge.waitFor((now) => commentsOn(now, at).length > 0);
      assert.match(commentsOn(state, at)[0] ?? '', /^Not started: @tara has “triage” permission .* needs write\./);
      assert.deepEqual(await way.tasks(at), []);
      await way.forge.unlabelIssue({ ...at, as: TRIAGER, label: 'coatcheck' });
      await way.label(at, TRIAGER);
      await way.forge.unlabelIssue({ ...at, as: HUMAN, label: 'coatcheck' });
      await way.label(at);
      const outcome = await (await way.follow(at)).outcome;
      assert.equal(outcome.end.task.actor.login, HUMAN);
      assert.deepEqual(await way.tasks(at), [outcome.task]);
      assert.equal(outcome.issue.comments.filter(({ body }) => body.startsWith('Not started')).length, 1);
    });

    test('assigned to the configured login, and to nobody else', async () => {
      const files = QUICK;
      const collaborators = { ...PEOPLE, [MACHINE_USER]: 'write' } as const;
      const at = await way.openIssue({ title: 'case-assigned', files, repository: { collaborators } });
      await way.forge.assignIssue({ ...at, as: HUMAN, assignees: [TRIAGER] });
      await way.forge.assignIssue({ ...at, as: HUMAN, assignees: [MACHINE_USER] });
      const outcome = await (await way.follow(at)).outcome;
      assert.equal(eventsOf(outcome.events, 'task.accepted')[0]?.trigger, 'issues.assigned');
      assert.deepEqual(await way.tasks(at), [outcome.task]);
    });

    test('an installation that the operator does not know gets nothing at all', async () => {
      await way.forge.createUser('stranger');
      const { installationId } = await way.forge.install({ app: way.deployment.app.slug, owner: 'stranger' });
      const before = await way.forge.state();
      const at = await way.openIssue({ title: 'case-long', files: FILES, repository: { owner: 'stranger' } });
      await way.label(at);
      await way.logged(new RegExp(`Installation ${installationId} is not on the operator`));
      const state = await way.forge.state();
      assert.deepEqual(await way.tasks(at), []);
      assert.deepEqual(
        state.tokens.filter(({ installation }) => installation === installationId),
        [],
      );
      assert.deepEqual(
        state.requests
          .slice(before.requests.length)
          .filter(({ path }) => path.includes('stranger') || path.includes(`/${installationId}`)),
        [],
      );
      assert.deepEqual(issueAt(state, at).comments, []);
      assert.deepEqual(issueAt(state, at).reactions, []);
    });

    test('stopped while it waits for a host: it ends without one', async () => {
      revoked = await way.begin({ title: 'case-revoked', files: FILES });
      await revoked.event('attempt.claimed');
      const queued = await way.begin({ title: 'case-long', files: FILES, repository: { collaborators: PEOPLE } });
      await say(queued, HUMAN, '/coatcheck stop');
      const outcome = await queued.outcome;
      isStopped(outcome);
      assert.deepEqual(eventsOf(outcome.events, 'attempt.claimed'), []);
      assert.deepEqual(eventsOf(outcome.events, 'sandbox.created'), []);
    });

    test('stopped during a long command, by those who may: the sandbox is gone before the end is said', async () => {
      await long.event('agent.tool', ({ output }) => output.includes('began'));
      await say(long, TRIAGER, '/coatcheck stop');
      const refused = await way.forge.waitFor((state) => commentsOn(state, long).length > 1);
      assert.match(commentsOn(refused, long)[1] ?? '', /@tara has “triage” permission here, and stopping a task needs write\./);
      assert.notDeepEqual(await containers(`coatcheck.task=${long.task}`), [], 'it goes on');

      await say(long, HUMAN, 'Enough.\n\n/coatcheck stop');
      await way.forge.waitFor((state) => commentsOn(state, long)[0]?.startsWith('**Stopped**') ?? false);
      assert.deepEqual(await containers(`coatcheck.task=${long.task}`), []);
      const outcome = await long.outcome;
      isStopped(outcome);
      const types = outcome.events.map(({ event }) => event.type);
      assert.ok(types.indexOf('sandbox.created') >= 0);
      assert.ok(types.indexOf('sandbox.ended') > 0 && types.indexOf('sandbox.ended') < types.indexOf('attempt.ended'));
      const asked = outcome.state.issues.flatMap(({ comments }) => comments).find(({ body }) => body.startsWith('Enough.'));
      assert.deepEqual(asked?.reactions, [{ user: 'coatcheck[bot]', content: 'eyes' }]);
    });

    test('the label after the end: a new task', async () => {
      await way.label(long);
      const again = await way.follow(long, long.task);
      assert.equal((await way.tasks(long)).length, 2);
      await say(again, HUMAN, '/coatcheck stop');
      const { end } = await again.outcome;
      assert.deepEqual([end.task.state, end.task.reason], ['cancelled', 'stopped']);
      assert.notEqual(end.task.branch, (await long.outcome).end.task.branch);
    });

    test('who loses the right to push while the task runs gets nothing published', async () => {
      await revoked.event('agent.tool');
      await way.forge.setCollaborator({ repository: revoked.repository, login: HUMAN, role: 'read' });
      await way.model.hanging(1);
      await way.model.release();
      const outcome = await revoked.outcome;
      assert.deepEqual([outcome.end.task.state, outcome.end.task.reason], ['refused', 'policy']);
      assert.match(outcome.end.task.message, /@ada has “read” permission now, and publishing needs write/);
      // It would have been published: the change had passed.
      assert.equal(eventsOf(outcome.events, 'verification')[0]?.verification.verdict.kind, 'passed');
      assert.equal(outcome.pull, undefined);
      assert.deepEqual(
        outcome.state.requests.filter(
          ({ operation, path }) => operation === 'git git-receive-pack' && path.includes(outcome.repository),
        ),
        [],
      );
    });

    test('nothing is left behind', () => way.nothingLeft());
  });

  test('where GitHub cannot reach the product, deliveries are polled, and each is taken in once', async (t) => {
    const way = await startWay({ script: [], environment: { COATCHECK_DELIVERIES: 'poll' } });
    t.after(() => way.close());
    // This one arrives, and is found by the next look as well.
    const arrived = await way.openIssue({ title: 'case-arrived', files: QUICK });
    await way.label(arrived);
    await (await way.follow(arrived)).outcome;
    await way.forge.misbehave({ operation: '^issues', times: 1000, action: { do: 'lose_webhook' } });
    const lost = await way.openIssue({ title: 'case-lost', files: QUICK });
    await way.label(lost);
    const { state } = await (await way.follow(lost)).outcome;
    const last = state.deliveries.filter(({ event, action }) => event === 'issues' && action === 'labeled').at(-1);
    assert.equal(last?.statusCode, 502, 'it was lost');
    const fetched = state.requests.filter(({ operation }) => operation === 'GET /app/hook/deliveries/{delivery_id}');
    assert.ok(fetched.length >= 2, 'the one that had arrived was polled, too');
    assert.equal((await way.tasks(arrived)).length, 1);
    assert.equal((await way.tasks(lost)).length, 1);
    await way.nothingLeft();
  });
});
