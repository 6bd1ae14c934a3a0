import { EventEmitter, once } from 'node:events';
import { setTimeout as after } from 'node:timers/promises';
import type { HostEvent, Step } from '../audit/events.ts';
import { CoatcheckError } from '../errors.ts';
import type { EventsAnswer, EventsRequest } from '../task/protocol.ts';
import type { AttemptClient } from './protocol-client.ts';

/** Thrown through a run when the control plane wants it to end, or has given it to another. */
export class RunStopped extends Error {
  readonly reason: NonNullable<EventsAnswer['stop']>['reason'] | 'fenced';
  constructor(reason: RunStopped['reason']) {
    super(`The run was stopped: ${reason}.`);
    this.reason = reason;
  }
}

/** How long reported events may wait for company before they are sent. */
const GATHER_MS = 250;
const BATCH = 200;

/**
 * A host's report of one attempt: an ordered stream of events that survives lost answers, and a heartbeat.
 * `signal` is aborted with a `RunStopped` once the control plane asks for the end or does not know us any more.
 */
export function startReport(client: AttemptClient, leaseMs: number) {
  const stopped = new AbortController();
  const closing = new AbortController();
  const waiting: EventsRequest['events'] = [];
  let next = 0;
  let heardAt = performance.now();
  const bell = new EventEmitter();

  const stop = (reason: RunStopped['reason']) => {
    if (!stopped.signal.aborted) stopped.abort(new RunStopped(reason));
  };

  /** Sends what waits, oldest first; an empty send is a heartbeat. What is not acknowledged stays in line. */
  async function send(): Promise<void> {
    try {
      const answer = await client.events({ events: waiting.slice(0, BATCH) }, AbortSignal.timeout(leaseMs));
      heardAt = performance.now();
      while (waiting[0] !== undefined && waiting[0].seq <= answer.stored) waiting.shift();
      if (answer.stop !== null) stop(answer.stop.reason);
    } catch (error) {
      const gone = error instanceof CoatcheckError && error.code === 'fenced';
      // Past the lease the control plane has given this attempt up: going on could only do harm.
      if (gone || performance.now() - heardAt > leaseMs) stop('fenced');
    }
  }

  const until = (ms: number) => AbortSignal.any([closing.signal, AbortSignal.timeout(ms)]);

  async function pump(): Promise<void> {
    while (!closing.signal.aborted && !isFenced()) {
      if (waiting.length === 0) await once(bell, 'event', { signal: until(leaseMs / 4) }).catch(() => undefined);
      if (waiting.length > 0 && waiting.length < BATCH) {
        await after(GATHER_MS, undefined, { signal: closing.signal }).catch(() => undefined);
      }
      if (!closing.signal.aborted) await send();
    }
  }
  const isFenced = () => stopped.signal.reason instanceof RunStopped && stopped.signal.reason.reason === 'fenced';
  const pumping = pump();

  function emit(event: HostEvent): void {
    waiting.push({ seq: next++, at: new Date().toISOString(), ...event });
    bell.emit('event');
  }

  return {
    signal: stopped.signal,
    emit,

    /** A named step of the run: its start, its end and its duration are in the record, whatever happens in it. */
    async step<T>(step: Step, work: () => Promise<T>, round?: number): Promise<T> {
      const label = round === undefined ? { step } : { step, round };
      const startedAt = performance.now();
      emit({ type: 'step.started', ...label });
      let ok = false;
      try {
        const result = await work();
        ok = true;
        return result;
      } finally {
        emit({ type: 'step.ended', ...label, ok, ms: performance.now() - startedAt });
      }
    },

    /** Sends everything that waits and ends the heartbeat. False when not everything could be handed over. */
    async close(): Promise<boolean> {
      closing.abort();
      await pumping;
      for (let tries = 0; waiting.length > 0 && !isFenced() && tries < 20; tries++) {
        const before = waiting.length;
        await send();
        if (waiting.length === before) await after(Math.min(1000, leaseMs / 10));
      }
      return waiting.length === 0;
    },
  };
}
export type Report = ReturnType<typeof startReport>;
