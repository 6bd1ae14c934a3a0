import type { Readable } from 'node:stream';
import type { Store } from '../store/store.ts';
import type {
  ChangeAnswer,
  ClaimAnswer,
  ClaimRequest,
  EventsAnswer,
  EventsRequest,
  FinishRequest,
  GrantAnswer,
  GrantRequest,
} from '../task/protocol.ts';
import type { Changes } from './changes.ts';
import type { Credentials } from './credentials.ts';
import { digestOf, newSecret } from './fencing.ts';
import type { Grants } from './grants.ts';
import type { Leases } from './leases.ts';
import type { AttemptRef, Recorder } from './record.ts';
import { withoutSecrets } from './without-secrets.ts';

export interface AttemptsOptions {
  readonly store: Store;
  readonly recorder: Recorder;
  readonly leases: Leases;
  readonly credentials: Pick<Credentials, 'mintRead' | 'modelKey'>;
  readonly grants: Grants;
  /** Where a host's door finds the model gateway. */
  readonly modelUrl: () => string;
  /** Where git fetches a repository from, without credentials. */
  readonly repositoryUrl: (repository: { owner: string; name: string }) => string;
  readonly changes: Changes;
  /** Called when an attempt has been handed over or has begun, outside of the call. */
  readonly handedOver: (ref: AttemptRef) => void;
  readonly started: (ref: AttemptRef) => void;
  readonly signal: AbortSignal;
}

/** What hosts may do with attempts. Every call but `claim` has passed the fence already. */
export function openAttempts(options: AttemptsOptions) {
  const { store, recorder, leases, credentials, grants } = options;

  return {
    /** The running attempt that a fencing token stands for. */
    async byToken(token: string): Promise<AttemptRef | null> {
      const found = await store.attempts.byToken(digestOf(token));
      return found === null ? null : { task: found.task, attempt: found.number };
    },

    async claim(request: ClaimRequest): Promise<ClaimAnswer> {
      const entry = await store.tasks.find(request.task);
      if (entry?.work == null) return { claim: 'nothing', why: 'There is no such task.' };
      const ref = { task: request.task, attempt: request.attempt };
      const token = newSecret('cca_');
      if (!(await store.attempts.claim(ref.task, ref.attempt, request.host.id, digestOf(token)))) {
        return { claim: 'nothing', why: 'The attempt is not waiting for a host.' };
      }
      leases.renew(ref);
      await recorder.control(ref, { type: 'attempt.claimed', host: request.host.id, attempt: ref.attempt });
      options.started(ref);
      return { claim: 'granted', token, leaseMs: leases.leaseMs, work: { ...entry.work, attempt: ref.attempt } };
    },

    async events(ref: AttemptRef, request: EventsRequest): Promise<EventsAnswer> {
      leases.renew(ref);
      const stored = await recorder.host(ref, request.events);
      const entry = await store.tasks.get(ref.task);
      if (entry.stop !== null) return { stored, stop: { reason: 'stopped' } };
      return { stored, stop: null };
    },

    async grant(ref: AttemptRef, request: GrantRequest): Promise<GrantAnswer> {
      leases.renew(ref);
      const { task, work } = await store.tasks.get(ref.task);
      if (work === null) throw new Error(`Task ${ref.task} runs without a work order.`);
      if (request.grant === 'registry') return grants.registry(ref, work, request.rule);
      if (request.grant === 'repository_read') {
        if (request.rule !== undefined) return grants.repository(ref, task, work, request.rule);
        const token = await credentials.mintRead(ref, task);
        return {
          grant: 'repository_read',
          url: options.repositoryUrl(task.repository),
          token: token.token,
          expiresAt: token.expiresAt,
        };
      }
      const key = await credentials.modelKey(ref, task);
      return { grant: 'model', url: options.modelUrl(), key, dialect: work.model.dialect, model: work.model.name };
    },

    async change(ref: AttemptRef, bundle: Readable): Promise<ChangeAnswer> {
      leases.renew(ref);
      const { work } = await store.tasks.get(ref.task);
      const { file, ...answer } = await options.changes.receive(ref, bundle, work?.limits.changeBytes ?? 0, options.signal);
      await store.attempts.keepBundle(ref.task, ref.attempt, file);
      await recorder.control(ref, { type: 'change.received', ...answer });
      return answer;
    },

    async finish(ref: AttemptRef, request: FinishRequest): Promise<void> {
      await recorder.control(ref, { type: 'cleanup', proof: request.cleanup });
      const clean = withoutSecrets(await recorder.redactorOf(ref), request);
      if (!(await store.attempts.handOver(ref.task, ref.attempt, clean))) return;
      leases.drop(ref);
      options.handedOver(ref);
    },
  };
}
export type Attempts = ReturnType<typeof openAttempts>;
