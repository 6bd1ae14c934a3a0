/** Rows 44 and 60: what a host reports, as events and as text. */

import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { eventsOf } from '../e2e/way.ts';
import type { EscapeCase } from './cases.ts';
import { pair, short } from './control-parts.ts';
import type { ControlTarget, Held } from './control-rig.ts';

type Case = EscapeCase<ControlTarget>;

const ofEvents: readonly Case[] = [
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

export const CASES: readonly Case[] = [...ofEvents, ...splits, granted];
