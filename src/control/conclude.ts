import { setTimeout as after } from 'node:timers/promises';
import { errorText } from '../errors.ts';
import type { Attempt } from '../store/attempts.ts';
import { isEnd, RETRIED, type TaskState } from '../task/task.ts';
import { type Ending, ending } from './ending.ts';
import type { ControlParts } from './parts.ts';
import { publishChange } from './publish.ts';
import type { AttemptRef } from './record.ts';
import { readSealed, sealRecord } from './seal-record.ts';

/** How often a task is tried again after something that was nobody's fault. */
const ATTEMPTS = 3;
const PUBLISH_TRIES = 3;
const PUBLISH_PAUSE_MS = 2000;

async function endingOf(parts: ControlParts, ref: AttemptRef, attempt: Attempt): Promise<Ending> {
  const { stop } = await parts.store.tasks.get(ref.task);
  if (stop !== null) return ending('stopped', `Asked for by @${stop.by}.`);
  const outcome = attempt.finish?.outcome;
  if (outcome === undefined) return ending('host_lost');
  if (outcome.outcome === 'no_change') return ending('nothing_changed');
  if (outcome.outcome === 'ended') return ending(outcome.reason, outcome.message);
  return publishChange(parts, ref, attempt, outcome);
}

/** Publishing depends on others: what fails is tried again from its beginning before the task fails by it. */
async function patiently(parts: ControlParts, ref: AttemptRef, attempt: Attempt): Promise<Ending> {
  for (let tries = 1; ; tries++) {
    try {
      return await endingOf(parts, ref, attempt);
    } catch (error) {
      parts.signal.throwIfAborted();
      parts.log.warn({ ...ref }, `concluding failed: ${errorText(error)}`);
      await parts.recorder.control(ref, { type: 'trouble', what: errorText(error) });
      if (tries === PUBLISH_TRIES) return ending('publish_failed', errorText(error));
      await after(tries * PUBLISH_PAUSE_MS, undefined, { signal: parts.signal });
    }
  }
}

/**
 * Brings an attempt whose host is done, or lost, to its end: publish, revoke, clean up, seal, anchor.
 *
 * It may be run again from its beginning after a crash or an error: what was made is found again, and a sealed record
 * is not sealed twice.
 */
export async function conclude(parts: ControlParts, ref: AttemptRef): Promise<void> {
  const { store } = parts;
  const attempt = await store.attempts.get(ref.task, ref.attempt);
  if (attempt === null || attempt.sealedAt !== null) return;
  if (attempt.state !== 'ended') {
    const decided = await decidedEnding(parts, ref);
    const sealed = decided !== null && (await readSealed(parts.directory, ref)) !== null;
    if (sealed) await settle(parts, ref, decided);
    else await closeAttempt(parts, ref, decided ?? (await patiently(parts, ref, attempt)));
  }
  await anchor(parts, ref);
}

/** The end that the record tells already: a crash came between it and the store. */
async function decidedEnding(parts: ControlParts, ref: AttemptRef): Promise<Ending | null> {
  const found = (await parts.recorder.read(ref)).findLast(({ event }) => event.type === 'attempt.ended')?.event;
  return found?.type === 'attempt.ended' ? { state: found.state, reason: found.reason, message: found.message } : null;
}

/**
 * Ends an attempt for good: its credentials are revoked, its change is removed unless it is held, the end is recorded,
 * the record sealed.
 */
export async function closeAttempt(parts: ControlParts, ref: AttemptRef, end: Ending): Promise<void> {
  const { recorder } = parts;
  const gone = await recorder.step(ref, 'revoke', () => parts.credentials.revokeAll(ref));
  // Before the change is removed: whoever goes on after a crash finds the decision, and needs the change no more.
  if ((await decidedEnding(parts, ref)) === null) await recorder.control(ref, { type: 'attempt.ended', ...end });
  if (end.state !== 'held') await parts.changes.remove(ref);
  await recorder.control(ref, {
    type: 'cleanup',
    proof: { looked: [{ kind: 'credentials', id: `attempt ${ref.attempt}`, gone }, await parts.changes.proof(ref)] },
  });
  await sealRecord(parts, ref, end);
  await settle(parts, ref, end);
}

/** Moves the task to its end, or queues another attempt after something that was nobody's fault. */
async function settle(parts: ControlParts, ref: AttemptRef, end: Ending): Promise<void> {
  const { store } = parts;
  const again = end.state === 'failed' && RETRIED.has(end.reason) && ref.attempt < ATTEMPTS;
  if (!again) {
    await store.attempts.end(ref.task, ref.attempt, { move: { to: end.state, reason: end.reason, message: end.message } });
    return;
  }
  const next = { task: ref.task, attempt: ref.attempt + 1 };
  await carryOver(parts, ref, next);
  await store.attempts.end(ref.task, ref.attempt, { again: `${end.message} It is tried again (attempt ${next.attempt}).` });
  await parts.wake(next);
}

/** Every record stands alone: what was accepted and which rules apply is said again in the next attempt's. */
async function carryOver(parts: ControlParts, from: AttemptRef, to: AttemptRef): Promise<void> {
  if ((await parts.recorder.read(to)).length > 0) return;
  for (const { event, witness } of await parts.recorder.read(from)) {
    if (event.type !== 'task.accepted' && event.type !== 'policy.resolved') continue;
    await parts.recorder.control(to, event, witness === 'github' ? 'github' : 'control');
  }
}

/** A held change has neither arrived nor failed: it waits for somebody to look. */
const REACTIONS: Partial<Readonly<Record<TaskState, 'rocket' | 'eyes'>>> = { ready: 'rocket', draft: 'rocket', held: 'eyes' };

/** Says the end where people look; tried again later when GitHub does not take it. */
async function anchor(parts: ControlParts, ref: AttemptRef): Promise<void> {
  const { store, follow } = parts;
  const entry = await store.tasks.get(ref.task);
  const latest = await store.attempts.latest(ref.task);
  if (latest?.number === ref.attempt && isEnd(entry.task.state)) {
    await parts.checks.complete(ref, entry);
    await follow.last(ref.task);
    await follow.react(entry.task, REACTIONS[entry.task.state] ?? 'confused');
  }
  await store.attempts.sealed(ref.task, ref.attempt);
}
