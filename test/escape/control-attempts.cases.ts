/** Row 60: hosts and Redis that ask for attempts which are not theirs, or go on after the end. */

import path from 'node:path';
import { Queue } from 'bullmq';
import { redisOptions } from '../../src/queue/connection.ts';
import { QUEUE_NAME } from '../../src/queue/wake.ts';
import type { EscapeCase } from './cases.ts';
import { beat, isClaimed, pair, short, waitUntil } from './control-parts.ts';
import type { ControlTarget, HostVerb } from './control-rig.ts';
import { shared } from './shared.ts';

type Case = EscapeCase<ControlTarget>;

const WRONG_KEYS = ['nothing', 'another word', 'the fencing token of an attempt'] as const;

/** A task that waits is claimed with each wrong key, and then with the right one. */
const wronglyClaimed = shared(async (target: ControlTarget) => {
  const { ours } = await pair(target);
  const running = await target.way.begin({ title: 'waiting', files: { 'a.txt': 'a\n' } });
  const answers = {
    nothing: await target.claim(running.task, 1, ''),
    'another word': await target.claim(running.task, 1, 'host-key-0123456789abcdef0123456789ab'),
    'the fencing token of an attempt': await target.claim(running.task, 1, ours.token),
  };
  const held = await target.claimed(running);
  const events = await target.call('events', held.token, beat);
  await target.end(held);
  return { answers, control: { worked: events.status === 200, how: `the right key: granted, ${events.status}` } };
});

const ofAttempts: readonly Case[] = [
  ...WRONG_KEYS.map(
    (what): Case => ({
      row: 60,
      name: `a claim with ${what} for the host key`,
      attempt: 'a process that is no host claims a waiting attempt',
      expected: '401; the host’s own claim is granted afterwards',
      async run(target) {
        const { answers, control } = await wronglyClaimed(target);
        const answer = answers[what];
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
];

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

export const CASES: readonly Case[] = [...ofAttempts, deleted];
