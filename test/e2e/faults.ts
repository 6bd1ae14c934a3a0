/** What the tests of faults share beside the whole way of an issue. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Docker from 'dockerode';
import { z } from 'zod';
import { RecordedEvent } from '../../src/audit/events.ts';
import { verifyRecord } from '../../src/audit/verify.ts';
import { RETRIED } from '../../src/task/task.ts';
import type { Forge, ForgeState, MisbehaviourRule } from '../forge/forge.ts';
import type { Script } from '../model/script.ts';
import { containers, type EventOf, eventsOf, HUMAN, type Outcome, type Place, run, scenario, type Way, write } from './way.ts';

/** A change that is made in one turn. */
export const CHANGE = { calls: [write('a.txt', 'changed\n')] };
const DONE = { text: 'Change a.txt\n\nAs the issue asks.' };

/** The agent of an issue with this marker changes a file. */
export const changes = (marker: string): Script => scenario(marker, { rounds: [[CHANGE, DONE]] });

/** What the agent says before its command hangs. */
export const HANGING = 'Now a command that hangs.';

/** As `changes`, but its first command hangs, so many times; every attempt has one. */
export function hangsFirst(marker: string, times: number): Script {
  const [plan, ...rest] = changes(marker);
  const seen = rest[0]?.seen;
  assert.ok(plan && seen !== undefined);
  return [plan, { turn: 0, offers: 'edit', seen, times, text: HANGING, calls: [run('sleep 3600', 3600)] }, ...rest];
}

/** As `changes`, but the model says nothing to the wish for a plan, so many times, until it is let go. */
export function hangsInPlan(marker: string, times: number): Script {
  const [plan, ...rest] = changes(marker);
  assert.ok(plan);
  return [{ ...plan, times, misbehave: { kind: 'hang' } }, plan, ...rest];
}

/** A repository without anything to verify with: its changes end as drafts, soon. */
export const BARE = { 'a.txt': 'as it was\n' };
/** A repository whose one command always passes. */
export const CHECKED = { ...BARE, 'AGENTS.md': '## Commands\n\n- `sh check.sh` - test\n', 'check.sh': 'test -s a.txt\n' };

const docker = new Docker({ socketPath: '/var/run/docker.sock' });

/** Kills the sandboxes of a task, as `docker kill` does. */
export async function killSandbox(task: string): Promise<void> {
  const ids = await containers(`coatcheck.task=${task}`);
  assert.ok(ids.length > 0, 'there is a sandbox to kill');
  for (const id of ids) await docker.getContainer(id).kill();
}

export const misbehaveAt = (
  forge: Forge,
  { repository }: Place,
  operation: string,
  rule: Omit<MisbehaviourRule, 'operation' | 'path'>,
) => forge.misbehave({ operation, path: `/${repository}(?:[./]|$)`, ...rule });

/** Holds requests of this kind for the issue's repository; resolves when one is held. */
export async function hold(forge: Forge, at: Place, operation: string) {
  const { id } = await misbehaveAt(forge, at, operation, { action: { do: 'hold' } });
  const rule = (state: ForgeState) => state.misbehaviour.find((known) => known.id === id);
  return {
    held: () => forge.waitFor((state) => rule(state)?.holding === 1, 60_000, `${operation} of ${at.repository} is held`),
    release: () => forge.release(id),
  };
}

/** How often a rule was met. */
export const hitsOf = (state: ForgeState, id: number): number => state.misbehaviour.find((known) => known.id === id)?.hits ?? 0;

/** Writes `/coatcheck stop` on the issue. */
export async function askToStop(forge: Forge, { repository, number }: Place) {
  const looks = (state: ForgeState) =>
    state.requests.filter(({ path: at }) => at.startsWith(`/repos/${repository}/collaborators/`)).length;
  const before = looks(await forge.state());
  const { id } = await forge.comment({ repository, number, as: HUMAN, body: '/coatcheck stop' });
  const reactionIn = (state: ForgeState) =>
    state.issues.flatMap(({ comments }) => comments).find((comment) => comment.id === id)?.reactions[0]?.content;
  return {
    /** The wish is being dealt with: whether its sender may stop the task was just asked. */
    taken: () => forge.waitFor((state) => looks(state) > before, 30_000, `the stop on ${repository} is taken`),
    /** The reaction to it, and the state of the forge then. */
    async answered() {
      const state = await forge.waitFor((now) => reactionIn(now) !== undefined, 60_000, `an answer to the stop on ${repository}`);
      return { reaction: reactionIn(state), state };
    },
  };
}

/** The record of one attempt that is over. */
export interface AttemptRecord {
  readonly events: readonly RecordedEvent[];
  readonly end: EventOf<'attempt.ended'>;
  readonly host: string | undefined;
}

/**
 * The sealed records of all attempts of a task, in order. Each verifies and has one end; all but the last ended by
 * something that is tried again, and the last as the task did.
 */
export async function attemptsOf(way: Way, { task, end }: Pick<Outcome, 'task' | 'end'>): Promise<AttemptRecord[]> {
  const records: AttemptRecord[] = [];
  for (let attempt = 1; attempt <= end.attempt; attempt++) {
    const file = path.join(way.deployment.dataDirectory, 'records', `${task}-${attempt}.jsonl`);
    const verdict = verifyRecord(await readFile(file), [way.publicKey]);
    assert.ok(verdict.ok, `the record of attempt ${attempt} verifies: ${JSON.stringify(verdict)}`);
    const events = z.array(RecordedEvent).parse(verdict.events);
    const ends = eventsOf(events, 'attempt.ended');
    assert.equal(ends.length, 1, `attempt ${attempt} has one end`);
    const [ended] = ends;
    assert.ok(ended);
    assert.ok(eventsOf(events, 'task.accepted').length === 1, `the record of attempt ${attempt} stands alone`);
    records.push({ events, end: ended, host: eventsOf(events, 'attempt.claimed')[0]?.host });
  }
  for (const { end: ended } of records.slice(0, -1)) assert.ok(RETRIED.has(ended.reason), ended.reason);
  assert.deepEqual([records.at(-1)?.end.state, records.at(-1)?.end.reason], [end.task.state, end.task.reason]);
  return records;
}

/** The one status comment of a task, as it stands on the issue. */
export function statusOf({ issue, task }: Outcome): string {
  const ours = issue.comments.filter(({ body }) => body.includes(`coatcheck:${task}`));
  assert.equal(ours.length, 1, `one status comment: ${issue.comments.map(({ body }) => body.slice(0, 60)).join(' | ')}`);
  return ours[0]?.body ?? '';
}

/** Waits until a process is no more, zombies aside. */
export async function untilGone(pid: number): Promise<void> {
  const isThere = () => {
    try {
      return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
      return false;
    }
  };
  while (isThere()) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Waits, at most so long, until a statement about the machine holds. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<void> {
  const until = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > until) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Nothing of processes that are no more is left: no directory of runs, no process that names one. */
export function nothingOf(pids: readonly number[]): void {
  const roots = pids.map((pid) => `coatcheck-host-${pid}-`);
  assert.deepEqual(
    readdirSync(tmpdir()).filter((name) => roots.some((root) => name.startsWith(root))),
    [],
    'no directory of a dead host',
  );
  const naming = readdirSync('/proc').filter((pid) => {
    const file = `/proc/${pid}/cmdline`;
    if (!/^\d+$/.test(pid) || !existsSync(file)) return false;
    try {
      const line = readFileSync(file, 'utf8');
      return roots.some((root) => line.includes(root));
    } catch {
      return false;
    }
  });
  assert.deepEqual(naming, [], 'no process of a dead host');
}
