import { errorText } from '../errors.ts';
import type { CleanupProof } from '../task/protocol.ts';

/** Something acquired: how it is released, and how one sees that it is gone. */
export interface Acquired {
  readonly kind: string;
  readonly id: string;
  readonly release: () => Promise<void>;
  readonly gone: () => Promise<boolean>;
}

/**
 * Everything that a run acquires, released last-in first-out whatever happened, and then looked for.
 * One release that fails keeps none of the others from theirs.
 */
export function openCleanup(trouble: (text: string) => void) {
  const acquired: Acquired[] = [];
  const proof: CleanupProof['looked'] = [];

  async function release(one: Acquired): Promise<void> {
    try {
      await one.release();
    } catch (error) {
      trouble(`releasing ${one.kind} ${one.id}: ${errorText(error)}`);
    }
    proof.push({ kind: one.kind, id: one.id, gone: await one.gone().catch(() => false) });
  }

  return {
    add(one: Acquired): void {
      acquired.push(one);
    },

    /** Everything acquired after `mark`, for parts that end before the run does. */
    mark: (): number => acquired.length,

    async run(downTo = 0): Promise<CleanupProof> {
      while (acquired.length > downTo) {
        const last = acquired.pop();
        if (last !== undefined) await release(last);
      }
      return { looked: proof };
    },
  };
}
export type Cleanup = ReturnType<typeof openCleanup>;
