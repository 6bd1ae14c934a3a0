import type { GitHub } from '../github/github.ts';
import type { Store } from '../store/store.ts';
import type { Task } from '../task/task.ts';
import { digestOf, newSecret } from './fencing.ts';
import type { AttemptRef, Recorder } from './record.ts';

/**
 * Everything secret that is made for an attempt: kept so that it can be revoked on every way out, also after a restart.
 * Each is recorded by an id that tells nothing.
 */
export function openCredentials(options: { store: Store; recorder: Recorder; github: GitHub }) {
  const { store, recorder, github } = options;

  async function mint(ref: AttemptRef, task: Task, kind: 'repository_read' | 'repository_write') {
    const permissions = { contents: kind === 'repository_read' ? ('read' as const) : ('write' as const) };
    const minted = await github.mintToken(task.installation, { repositoryId: task.repository.id, permissions });
    const scope = `${task.repository.owner}/${task.repository.name} contents:${permissions.contents}`;
    await store.credentials.keep({ ...ref, id: minted.id, kind, secret: minted.token, scope, expiresAt: minted.expiresAt });
    await recorder.control(ref, { type: 'credential.minted', id: minted.id, kind, scope, expiresAt: minted.expiresAt });
    return minted;
  }

  return {
    mintRead: (ref: AttemptRef, task: Task) => mint(ref, task, 'repository_read'),
    mintWrite: (ref: AttemptRef, task: Task) => mint(ref, task, 'repository_write'),

    /** The key by which the model gateway knows this attempt; one per attempt. */
    async modelKey(ref: AttemptRef, task: Task): Promise<string> {
      const live = await store.credentials.live(ref.task, ref.attempt);
      const present = live.find((credential) => credential.kind === 'model');
      if (present !== undefined) return present.secret;
      const secret = newSecret('ccm_');
      const id = digestOf(secret).slice(0, 12);
      const scope = `model for task ${task.id}`;
      await store.credentials.keep({ ...ref, id, kind: 'model', secret, scope, expiresAt: null });
      await recorder.control(ref, { type: 'credential.minted', id, kind: 'model', scope, expiresAt: null });
      return secret;
    },

    /** Revokes everything of an attempt that is not revoked yet, each on its own; true when nothing is left. */
    async revokeAll(ref: AttemptRef): Promise<boolean> {
      let allGone = true;
      for (const credential of await store.credentials.live(ref.task, ref.attempt)) {
        const gone = credential.kind === 'model' || (await github.revokeToken(credential.secret).catch(() => false));
        allGone &&= gone;
        await recorder.control(ref, { type: 'credential.revoked', id: credential.id, gone });
        if (gone) await store.credentials.revoked(ref.task, ref.attempt, credential.id);
      }
      return allGone;
    },
  };
}
export type Credentials = ReturnType<typeof openCredentials>;
