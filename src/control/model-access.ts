import type { ModelAccess, ModelGatewayOptions, Reservation } from '../model/gateway-options.ts';
import type { OperatorConfig } from '../policy/operator-config.ts';
import type { Store } from '../store/store.ts';
import type { Usage } from '../store/usage.ts';
import type { AttemptRef, Recorder } from './record.ts';

/** Where a real model is, with what key; made at start from the policy and the environment. */
export type Provider = ModelAccess['provider'];

export interface ModelPartOptions {
  readonly store: Store;
  readonly recorder: Recorder;
  readonly operator: OperatorConfig;
  readonly providers: ReadonlyMap<string, Provider>;
}

/** Why an installation may use no more today; null while it may. `wanted` is what the next call may need, in tokens. */
export function dailyCapReached(operator: OperatorConfig, today: Usage, wanted: number): string | null {
  const { tokens, cost_usd } = operator.daily;
  if (today.tokens + wanted > tokens) return `the installation has used ${today.tokens} of its daily ${tokens} tokens`;
  if (today.costUsd >= cost_usd) return `the installation has used US$ ${today.costUsd.toFixed(2)} of its daily ${cost_usd}`;
  return null;
}

/**
 * What the model gateway asks the control plane: whose key this is, whether the budget has room, and what became of
 * it. Tokens are counted per task and per installation and day, reserved before the call and settled after.
 */
export function modelPart(options: ModelPartOptions): Pick<ModelGatewayOptions, 'resolve' | 'reserve' | 'settle' | 'record'> {
  const { store, recorder, operator } = options;
  const used = new Map<string, number>();
  const reservations = new Map<string, { task: string; installation: number; tokens: number }>();
  let reserved = 0;

  /** What a task has used so far, over all its attempts; read from the records after a restart. */
  async function usedBy(task: string): Promise<number> {
    const known = used.get(task);
    if (known !== undefined) return known;
    let sum = 0;
    const last = (await store.attempts.latest(task))?.number ?? 0;
    for (let attempt = 1; attempt <= last; attempt++) {
      for (const { event } of await recorder.read({ task, attempt })) {
        if (event.type === 'model.call') sum += event.inputTokens + event.outputTokens;
      }
    }
    used.set(task, sum);
    return sum;
  }

  async function reserve(ref: AttemptRef, tokens: number): Promise<Reservation> {
    const { task, work } = await store.tasks.get(ref.task);
    const before = await usedBy(task.id);
    const limit = work?.limits.tokens ?? 0;
    if (before + tokens > limit) {
      return {
        granted: false,
        why: `the task has used ${before} of its ${limit} tokens, and this call may need ${tokens}`,
      };
    }
    const full = dailyCapReached(operator, await store.usage.today(task.installation), tokens);
    if (full !== null) return { granted: false, why: full };
    const id = String(++reserved);
    reservations.set(id, { task: task.id, installation: task.installation, tokens });
    used.set(task.id, before + tokens);
    await store.usage.add(task.installation, { tokens });
    return { granted: true, id };
  }

  return {
    async resolve(key) {
      const found = await store.credentials.byModelKey(key);
      if (found === null) return null;
      const { work } = await store.tasks.get(found.task);
      const provider = work === null ? undefined : options.providers.get(work.model.name);
      if (provider === undefined) return null;
      return { attempt: { task: found.task, attempt: found.attempt }, open: true, provider };
    },
    reserve,
    async settle(id, usage) {
      const reservation = reservations.get(id);
      if (reservation === undefined) return;
      reservations.delete(id);
      const difference = usage.inputTokens + usage.outputTokens - reservation.tokens;
      used.set(reservation.task, (used.get(reservation.task) ?? 0) + difference);
      await store.usage.add(reservation.installation, { tokens: difference });
    },
    async record(ref, call) {
      const { task } = await store.tasks.get(ref.task);
      await recorder.control(ref, call);
      if (call.costUsd !== null) await store.usage.add(task.installation, { costUsd: call.costUsd });
    },
  };
}
