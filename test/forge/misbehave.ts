/** Trouble on demand: rules say which requests meet it, how often, and what it is. */
import { z } from 'zod';

const Action = z.discriminatedUnion('do', [
  /** Answers so instead of doing anything: rate limits, 5xx. */
  z.strictObject({
    do: z.literal('answer'),
    status: z.int(),
    headers: z.record(z.string(), z.string()).default({}),
    body: z.unknown().optional(),
  }),
  /** Cuts the connection; nothing was done. */
  z.strictObject({ do: z.literal('drop_before') }),
  /** Does it, then cuts the connection: the answer is lost. */
  z.strictObject({ do: z.literal('drop_after') }),
  /** Does nothing until the rule is released. */
  z.strictObject({ do: z.literal('hold') }),
  /** The next installation tokens live this long; `operation` and `path` do not matter. */
  z.strictObject({ do: z.literal('short_token'), lifeMs: z.int() }),
  /** The webhook never arrives, though the deliveries API lists it. */
  z.strictObject({ do: z.literal('lose_webhook') }),
]);

export const MisbehaviourRule = z.strictObject({
  /** A regular expression over the operation (`POST /repos/{owner}/{repo}/pulls`, `git git-receive-pack`) or webhook (`issues.labeled`). */
  operation: z.string().optional(),
  /** A regular expression over the path of the URL. */
  path: z.string().optional(),
  /** How many requests meet it; 1 by default. */
  times: z.int().positive().default(1),
  action: Action,
});
export type MisbehaviourRule = z.input<typeof MisbehaviourRule>;
type Rule = z.infer<typeof MisbehaviourRule>;
export type Action = z.infer<typeof Action>;

/** GitHub's answer to too many requests in a short time: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api */
export function secondaryLimit(retryAfterSeconds: number, status: 403 | 429 = 403): MisbehaviourRule['action'] {
  return {
    do: 'answer',
    status,
    headers: { 'retry-after': String(retryAfterSeconds) },
    body: {
      message: 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.',
      documentation_url: 'https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits',
    },
  };
}

interface Live {
  readonly id: number;
  readonly rule: Rule;
  readonly release: () => void;
  readonly released: Promise<void>;
  hits: number;
  holding: number;
}

export class Misbehaviour {
  readonly #rules: Live[] = [];
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  add(rule: Rule): number {
    const { promise, resolve } = Promise.withResolvers<void>();
    const id = this.#rules.length + 1;
    this.#rules.push({ id, rule, released: promise, release: resolve, hits: 0, holding: 0 });
    this.#changed();
    return id;
  }

  /** Lets go whatever the rule holds and ends it. */
  release(id: number): void {
    const live = this.#rules.find((known) => known.id === id);
    if (!live) return;
    live.hits = Math.max(live.hits, live.rule.times);
    live.release();
    this.#changed();
  }

  /** The first action of the wanted kinds that this request meets; counts it. Waits where it is told to hold. */
  async meet(operation: string, path: string): Promise<Action | null> {
    const live = this.#take((action) => action.do !== 'lose_webhook' && action.do !== 'short_token', operation, path);
    if (live?.rule.action.do !== 'hold') return live?.rule.action ?? null;
    live.holding += 1;
    this.#changed();
    await live.released;
    live.holding -= 1;
    this.#changed();
    return null;
  }

  losesWebhook(name: string): boolean {
    return this.#take((action) => action.do === 'lose_webhook', name, '') !== undefined;
  }

  tokenLifeMs(): number | null {
    const action = this.#take((known) => known.do === 'short_token', '', '')?.rule.action;
    return action?.do === 'short_token' ? action.lifeMs : null;
  }

  #take(kind: (action: Action) => boolean, operation: string, path: string): Live | undefined {
    const found = this.#rules.find(
      ({ rule, hits }) =>
        kind(rule.action) &&
        hits < rule.times &&
        (rule.action.do === 'short_token' || rule.operation === undefined || new RegExp(rule.operation).test(operation)) &&
        (rule.path === undefined || new RegExp(rule.path).test(path)),
    );
    if (!found) return undefined;
    found.hits += 1;
    this.#changed();
    return found;
  }

  snapshot(): { id: number; action: string; hits: number; holding: number }[] {
    return this.#rules.map(({ id, rule, hits, holding }) => ({ id, action: rule.action.do, hits, holding }));
  }
}
