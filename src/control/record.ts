import { appendEvent, genesis } from '../audit/chain.ts';
import { type ControlEvent, HostEvent, RecordedEvent, type Step, witnessOf } from '../audit/events.ts';
import type { Redactor } from '../audit/redact.ts';
import { redactControlEvent } from '../audit/redact-event.ts';
import { ReportRedactor } from '../audit/redact-report.ts';
import type { Store } from '../store/store.ts';
import type { EventsRequest } from '../task/protocol.ts';
import { serialised } from './serialised.ts';

/** Which attempt a record belongs to. */
export interface AttemptRef {
  readonly task: string;
  readonly attempt: number;
}

type Entry = Parameters<typeof appendEvent>[1];
type Listener = (ref: AttemptRef, event: RecordedEvent) => void;

/**
 * Appends to the records of attempts: redacts, chains, stores, and tells whoever follows along.
 * Appends to one chain never overlap, whoever asks for them.
 */
export function openRecorder(options: { store: Store; redactorOf: (ref: AttemptRef) => Promise<Redactor> }) {
  const { store } = options;
  const inTurn = serialised();
  const listeners = new Set<Listener>();
  const reports = new Map<string, ReportRedactor>();

  async function append(ref: AttemptRef, redacted: (redactor: Redactor) => Entry[], hostSeq: number | null): Promise<void> {
    const entries = redacted(await options.redactorOf(ref));
    const last = await store.events.last(ref.task, ref.attempt);
    let head = last === null ? genesis(ref) : RecordedEvent.parse(JSON.parse(last.line));
    const added: RecordedEvent[] = [];
    for (const entry of entries) {
      const next = appendEvent(head, entry);
      added.push(next);
      head = next;
    }
    await store.events.append(
      ref.task,
      ref.attempt,
      added.map((event) => ({ seq: event.seq, line: JSON.stringify(event) })),
      hostSeq,
    );
    for (const event of added) for (const listener of listeners) listener(ref, event);
  }

  const key = (ref: AttemptRef) => `${ref.task}/${ref.attempt}`;

  return {
    /** Records something that the control plane did, or that GitHub told it. */
    control: (ref: AttemptRef, event: ControlEvent, witness: 'control' | 'github' = 'control'): Promise<void> =>
      inTurn(key(ref), () => {
        if (event.type === 'attempt.ended') reports.delete(key(ref));
        const at = new Date().toISOString();
        return append(ref, (redactor) => [{ at, witness, event: redactControlEvent(redactor, event) }], null);
      }),

    /** A named step of the control plane: its start, its end and its duration are recorded, whatever happens in it. */
    async step<T>(ref: AttemptRef, step: Step, work: () => Promise<T>): Promise<T> {
      const startedAt = performance.now();
      await this.control(ref, { type: 'step.started', step });
      let ok = false;
      try {
        const result = await work();
        ok = true;
        return result;
      } finally {
        await this.control(ref, { type: 'step.ended', step, ok, ms: performance.now() - startedAt });
      }
    },

    /**
     * Records a host's report from the first event that is not stored yet; a gap ends it there.
     * Returns the highest sequence number that is stored.
     */
    host: (ref: AttemptRef, reported: EventsRequest['events']): Promise<number> =>
      inTurn(key(ref), async () => {
        let stored = (await store.attempts.get(ref.task, ref.attempt))?.hostSeq ?? -1;
        const fresh: { at: string; event: HostEvent }[] = [];
        for (const { seq, at, ...rest } of reported) {
          if (seq !== stored + 1) continue;
          fresh.push({ at, event: HostEvent.parse(rest) });
          stored = seq;
        }
        const report = reports.get(key(ref)) ?? new ReportRedactor();
        reports.set(key(ref), report);
        const redacted = (redactor: Redactor) =>
          fresh.flatMap(({ at, event }) =>
            report.redact(redactor, event).map((clean) => ({ at, witness: witnessOf(clean), event: clean })),
          );
        if (fresh.length === 0) return stored;
        await append(ref, redacted, stored).catch((error: unknown) => {
          // The host reports it all again.
          reports.delete(key(ref));
          throw error;
        });
        return stored;
      }),

    /** What takes the attempt's secrets out of a text that others will read. */
    redactorOf: options.redactorOf,

    /** The whole record so far. */
    read: async (ref: AttemptRef, from = 0): Promise<RecordedEvent[]> =>
      (await store.events.list(ref.task, ref.attempt, from)).map((event) => RecordedEvent.parse(JSON.parse(event.line))),

    /** Calls back for every event from now on, of whatever attempt; returns the way to stop it. */
    follow(listener: Listener): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
export type Recorder = ReturnType<typeof openRecorder>;
