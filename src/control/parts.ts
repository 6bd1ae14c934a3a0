import type { Logger } from 'pino';
import type { SigningKey } from '../audit/key.ts';
import type { Remote } from '../git/remote.ts';
import type { GitHub } from '../github/github.ts';
import type { Store } from '../store/store.ts';
import type { RepositoryRef } from '../task/task.ts';
import type { Changes } from './changes.ts';
import type { CheckRuns } from './check-run.ts';
import type { Credentials } from './credentials.ts';
import type { Follow } from './follow.ts';
import type { AttemptRef, Recorder } from './record.ts';

/** What the control plane's parts hand to one another; put together in control.ts. */
export interface ControlParts {
  readonly log: Logger;
  /** The data directory. */
  readonly directory: string;
  readonly store: Store;
  readonly recorder: Recorder;
  readonly github: GitHub;
  readonly credentials: Pick<Credentials, 'mintRead' | 'mintWrite' | 'revokeAll'>;
  readonly follow: Follow;
  readonly checks: CheckRuns;
  readonly changes: Changes;
  readonly key: SigningKey;
  /** Author and committer of every commit. */
  readonly identity: { readonly name: string; readonly email: string };
  /** Where git finds a repository on GitHub, with a token to be put beside it. */
  readonly remoteOf: (repository: RepositoryRef, token: string) => Remote;
  readonly pageOf: (task: string) => string;
  /** Tells hosts that an attempt waits; what cannot be told now is told again by the watch. */
  readonly wake: (ref: AttemptRef) => Promise<void>;
  /** Ends what is under way when the control plane goes down. */
  readonly signal: AbortSignal;
  /** Publishing and acknowledging a stop take turns, task by task. */
  readonly publishing: <T>(task: string, work: () => Promise<T>) => Promise<T>;
}
