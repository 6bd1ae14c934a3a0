/** A model that misbehaves: what can be borne is, and the rest ends with a reason. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { EndReason, TaskState } from '../../src/task/task.ts';
import type { Script } from '../model/script.ts';
import { ACCOUNTS, eventsOf, type IssueOptions, type Outcome, run, scenario, startWay, type Way, write } from './way.ts';

const limits = (text: string) => ({ '.github/coatcheck.yml': `limits:\n  ${text}\n` });
/** A call that the plan offers too. */
const look = { calls: [{ tool: 'read', input: { path: 'a.txt' } }] };
/** Its day is over after a few calls; no other issue of this file is on it. */
const SPENT = 'octo-spent';

/** Whatever is asked in this conversation gets this answer. */
const always = (marker: string, answer: Omit<Script[number], 'seen'>): Script => [{ ...answer, seen: marker }];

interface Case {
  readonly script: Script;
  readonly state: TaskState;
  readonly reason: EndReason;
  /** What the issue's comment has to say besides the state. */
  readonly says: RegExp;
  readonly files?: IssueOptions['files'];
  readonly body?: string;
  readonly owner?: string;
}

const CASES: Readonly<Record<string, Case>> = {
  'case-refusing': {
    script: always('case-refusing', { text: 'I will not.', misbehave: { kind: 'refusal' } }),
    state: 'failed',
    reason: 'model_refused',
    says: /The model refused.*Reword the issue, or choose another model/s,
  },
  'case-silent': {
    script: scenario('case-silent', { rounds: [[{ text: '' }]] }),
    state: 'failed',
    reason: 'model_nonsense',
    says: /3 unusable answers in a row/,
  },
  'case-broken': {
    script: always('case-broken', { misbehave: { kind: 'status', status: 500, retryAfter: 0, message: 'on fire' } }),
    state: 'failed',
    reason: 'model_unavailable',
    says: /answered 500: on fire \(tried 5 times\).*Try again later/s,
  },
  'case-crowded': {
    script: always('case-crowded', { misbehave: { kind: 'context_exceeded' } }),
    state: 'failed',
    reason: 'context_exceeded',
    says: /does not fit into the model’s context|does not fit into the model's context/,
  },
  'case-endless': {
    script: scenario('case-endless', { rounds: [[look, look, look, look, look, look, look]] }),
    files: limits('turns: 4'),
    state: 'failed',
    reason: 'turn_limit',
    says: /used all 4 turns.*Split the issue.*limits\.turns/s,
  },
  'case-thirsty': {
    script: always('case-thirsty', look),
    files: limits('tokens: 28000'),
    state: 'failed',
    reason: 'token_limit',
    says: /of its 28000 tokens.*Split the issue.*limits\.tokens/s,
  },
  'case-spending': {
    script: always('case-spending', look),
    body: 'word '.repeat(12_000),
    owner: SPENT,
    state: 'failed',
    reason: 'daily_limit',
    says: /has used US\\?\$ 0\.\d+ of its daily 0\.2.*next day/s,
  },
  'case-hanging': {
    script: always('case-hanging', { misbehave: { kind: 'hang' } }),
    files: limits('wall: 8 s'),
    state: 'timed_out',
    reason: 'wall_limit',
    says: /ran longer than its limit/,
  },
};

/** Everything that can be borne, one after the other, in one task. */
const BORNE: Script = [
  { lacks: 'edit', times: 1, misbehave: { kind: 'nonsense' } },
  { lacks: 'edit', text: 'The plan' },
  { offers: 'edit', turn: 0, times: 1, text: 'cut in the middle of this sentence', misbehave: { kind: 'cut', afterEvents: 4 } },
  { offers: 'edit', match: 'answer was empty', calls: [write('done.txt', 'done\n')] },
  { offers: 'edit', match: 'bytes written', times: 1, misbehave: { kind: 'context_exceeded' } },
  { offers: 'edit', match: 'bytes written', text: 'Done\n\nAfter some trouble.' },
  { offers: 'edit', turn: 0, calls: [{ tool: 'fly', input: { to: 'the moon' } }] },
  { offers: 'edit', turn: 1, calls: [{ tool: 'write', input: { path: 7 } }] },
  { offers: 'edit', turn: 2, times: 1, misbehave: { kind: 'status', status: 429, retryAfter: 1 } },
  { offers: 'edit', turn: 2, times: 1, misbehave: { kind: 'status', status: 503, retryAfter: 0 } },
  { offers: 'edit', turn: 2, calls: [run('echo looked around')] },
  { offers: 'edit', turn: 3, text: '' },
];
const RECOVERING = BORNE.map((answer) => ({ ...answer, seen: 'case-recovering' }));

let way: Way;
const outcomes = new Map<string, Promise<Outcome>>();

before(async () => {
  way = await startWay({
    script: [...RECOVERING, ...Object.values(CASES).flatMap(({ script }) => script)],
    policy: { installations: [...ACCOUNTS, SPENT], daily: { cost_usd: 0.2 } },
    environment: { COATCHECK_HOST_SLOTS: '4' },
  });
  await way.forge.createUser(SPENT);
  await way.forge.install({ app: way.deployment.app.slug, owner: SPENT });
  const begin = (title: string, options: Omit<IssueOptions, 'title'>): void => {
    const outcome = way.runIssue({ title, ...options });
    outcome.catch(() => {}); // whoever awaits it hears of it
    outcomes.set(title, outcome);
  };
  begin('case-recovering', { files: { 'AGENTS.md': '## Commands\n\n- `test -s a.txt` - test\n', 'a.txt': 'a\n' } });
  for (const [title, { files, body, owner }] of Object.entries(CASES)) {
    begin(title, { files: { 'a.txt': 'a\n', ...files }, ...(body && { body }), ...(owner && { repository: { owner } }) });
  }
});
after(async () => {
  await Promise.allSettled(outcomes.values());
  await way.close();
});

async function outcomeOf(title: string): Promise<Outcome> {
  const outcome = await outcomes.get(title);
  assert.ok(outcome, title);
  return outcome;
}

test('cut answers, nonsense, rate limits, errors, an overfull context and calls that cannot be are borne', async () => {
  const { end, events, pull } = await outcomeOf('case-recovering');
  assert.deepEqual([end.task.state, end.task.reason], ['ready', 'verified'], end.task.message);
  assert.equal(pull?.title, 'Done');
  const tools = eventsOf(events, 'agent.tool').map(({ tool, ok, output }) => `${tool} ${ok} ${output}`);
  assert.match(tools[0] ?? '', /^fly false Error: .*(?:not available|unavailable)/i);
  assert.match(tools[1] ?? '', /^write false Error: .*path/is);
  assert.match(tools[2] ?? '', /^run true looked around/);
  assert.match(tools[3] ?? '', /^write true/);
  const statuses = eventsOf(events, 'model.call').map(({ status }) => status);
  for (const status of [429, 503, 400]) assert.ok(statuses.includes(status), `${status} in ${statuses}`);
  const cut = eventsOf(events, 'model.call').filter(({ note }) => /provider cut the answer/.test(note));
  assert.equal(cut.length, 1);
});

for (const [title, { state, reason, says }] of Object.entries(CASES)) {
  test(`${title.replace('case-', 'a model or task that is ')}: ${reason}, said on the issue`, async () => {
    const { end, issue, events, pull } = await outcomeOf(title);
    assert.deepEqual([end.task.state, end.task.reason], [state, reason], end.task.message);
    assert.equal(issue.comments.length, 1);
    assert.match(issue.comments[0]?.body ?? '', says);
    assert.equal(pull, undefined);
    assert.deepEqual(eventsOf(events, 'attempt.lost'), []);
  });
}

test('an installation whose day is over is told so when it asks', async () => {
  await outcomeOf('case-spending');
  const at = await way.openIssue({ title: 'one more', files: { 'a.txt': 'a\n' }, repository: { owner: SPENT } });
  await way.label(at);
  const state = await way.forge.waitFor(({ issues }) =>
    issues.some((issue) => issue.repository === at.repository && issue.comments.length > 0),
  );
  const issue = state.issues.find(({ repository }) => repository === at.repository);
  assert.match(issue?.comments[0]?.body ?? '', /Not started: .*of its daily 0\.2.*tomorrow \(UTC\)/);
});

test('nothing is left of any of them', async () => {
  await Promise.all(outcomes.values());
  await way.nothingLeft();
});
