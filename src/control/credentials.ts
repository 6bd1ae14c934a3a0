import { randomBytes } from 'node:crypto';
import { CoatcheckError } from '../errors.ts';
import type { GitHub, MintedToken, OtherRepository } from '../github/github.ts';
import type { InspectRule } from '../policy/egress.ts';
import type { Credential } from '../store/credentials.ts';
import type { Store } from '../store/store.ts';
import type { Task } from '../task/task.ts';
import { digestOf, newSecret } from './fencing.ts';
import type { AttemptRef, Recorder } from './record.ts';

/** What the operator's policy adds at the door under a rule: made at start from the policy and the environment. */
export interface RuleSecret {
  readonly env: string;
  readonly host: string;
  readonly header: string;
  readonly value: string;
}

export interface CredentialsOptions {
  readonly store: Store;
  readonly recorder: Recorder;
  readonly github: GitHub;
  /** By the rule's id. */
  readonly registries: ReadonlyMap<string, RuleSecret>;
}

/**
 * Everything secret that is made for an attempt, or given to it: kept so that it can be revoked on every way out, also
 * after a restart. Each is recorded by an id that tells nothing.
 */
export function openCredentials({ store, recorder, github, registries }: CredentialsOptions) {
  async function keep(ref: AttemptRef, credential: Omit<Credential, 'task' | 'attempt'>): Promise<void> {
    const { id, kind, scope, expiresAt } = credential;
    await store.credentials.keep({ ...ref, ...credential });
    await recorder.control(ref, { type: 'credential.minted', id, kind, scope, expiresAt });
  }

  const keepToken = (ref: AttemptRef, minted: MintedToken, kind: 'repository_read' | 'repository_write', scope: string) =>
    keep(ref, { id: minted.id, kind, secret: minted.token, scope, expiresAt: minted.expiresAt });

  async function mint(ref: AttemptRef, task: Task, kind: 'repository_read' | 'repository_write') {
    const permissions = { contents: kind === 'repository_read' ? ('read' as const) : ('write' as const) };
    const minted = await github.mintToken(task.installation, { repositoryId: task.repository.id, permissions });
    await keepToken(ref, minted, kind, `${task.repository.owner}/${task.repository.name} contents:${permissions.contents}`);
    return minted;
  }

  /** What is the operator's own is not taken back but given to nobody any more: the attempt is fenced, its door shut. */
  async function end(ref: AttemptRef, { id, kind, secret }: Credential): Promise<boolean> {
    const ours = kind === 'model' || kind === 'registry';
    const gone = ours || (await github.revokeToken(secret).catch(() => false));
    await recorder.control(ref, { type: 'credential.revoked', id, gone });
    if (gone) await store.credentials.revoked(ref.task, ref.attempt, id);
    return gone;
  }

  return {
    mintRead: (ref: AttemptRef, task: Task) => mint(ref, task, 'repository_read'),
    mintWrite: (ref: AttemptRef, task: Task) => mint(ref, task, 'repository_write'),

    /** Another repository of the task's installation, by a token for it alone; null when the installation does not cover it. */
    async openRepository(ref: AttemptRef, task: Task, at: { owner: string; name: string }): Promise<OtherRepository | null> {
      const opened = await github.openRepository(task.installation, at);
      if (opened === null) return null;
      const { owner, name } = opened.repository;
      await keepToken(ref, opened.token, 'repository_read', `${owner}/${name} contents:read`);
      return opened;
    },

    /** The key by which the model gateway knows this attempt; one per attempt. */
    async modelKey(ref: AttemptRef, task: Task): Promise<string> {
      const live = await store.credentials.live(ref.task, ref.attempt);
      const present = live.find((credential) => credential.kind === 'model');
      if (present !== undefined) return present.secret;
      const secret = newSecret('ccm_');
      await keep(ref, {
        id: digestOf(secret).slice(0, 12),
        kind: 'model',
        secret,
        scope: `model for task ${task.id}`,
        expiresAt: null,
      });
      return secret;
    },

    /**
     * The header that the door adds under a rule. Recorded once per attempt; the value is not kept with the task, and the
     * id is random, because a digest of a guessable secret would tell it.
     * @throws CoatcheckError `grant_refused` when the policy that this process was started with does not have it.
     */
    async registry(ref: AttemptRef, rule: InspectRule): Promise<{ header: string; value: string }> {
      const known = registries.get(rule.id);
      if (known === undefined || known.host !== rule.host || known.env !== rule.credential?.env) {
        throw new CoatcheckError(
          'grant_refused',
          `The operator's policy has no credential for the grant "${rule.id}" any more.`,
          'Trigger the issue again.',
        );
      }
      const scope = `${rule.id} for ${rule.host}`;
      const live = await store.credentials.live(ref.task, ref.attempt);
      if (!live.some((credential) => credential.kind === 'registry' && credential.scope === scope)) {
        const id = randomBytes(6).toString('hex');
        await keep(ref, { id, kind: 'registry', secret: '', scope, expiresAt: rule.expires ?? null });
      }
      return { header: known.header, value: known.value };
    },

    /** Revokes one credential of an attempt; what cannot be revoked now is, at the attempt's end. */
    async revoke(ref: AttemptRef, id: string): Promise<void> {
      const found = (await store.credentials.live(ref.task, ref.attempt)).find((credential) => credential.id === id);
      if (found !== undefined) await end(ref, found);
    },

    /** Revokes everything of an attempt that is not revoked yet, each on its own; true when nothing is left. */
    async revokeAll(ref: AttemptRef): Promise<boolean> {
      let allGone = true;
      for (const credential of await store.credentials.live(ref.task, ref.attempt)) {
        const gone = await end(ref, credential);
        allGone &&= gone;
      }
      return allGone;
    },
  };
}
export type Credentials = ReturnType<typeof openCredentials>;
