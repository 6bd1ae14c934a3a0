import type { DoorLimits } from './door.ts';
import type { Ledger } from './ledger.ts';
import { Refusal } from './refusal.ts';
import type { Gatekeeper } from './state.ts';

/** How much may come at once after a rest: this many seconds' worth. */
const BURST_SECONDS = 10;

/** A token bucket. */
export class Rate {
  readonly #perSecond: number;
  #tokens: number;
  #at: number;

  constructor(perSecond: number, now = performance.now()) {
    this.#perSecond = perSecond;
    this.#tokens = perSecond * BURST_SECONDS;
    this.#at = now;
  }

  /** Takes one, or says that there is none left now. */
  take(now = performance.now()): boolean {
    const full = this.#perSecond * BURST_SECONDS;
    this.#tokens = Math.min(full, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

/** Bytes of one task, each way, over all its connections. */
export class Quota {
  #up: number;
  #down: number;

  constructor(limits: Pick<DoorLimits, 'bytesUp' | 'bytesDown'>) {
    this.#up = limits.bytesUp;
    this.#down = limits.bytesDown;
  }

  /** Counts bytes to the outside; false once they are more than there were left. */
  up(bytes: number): boolean {
    this.#up -= bytes;
    return this.#up >= 0;
  }

  /** Counts bytes from the outside. */
  down(bytes: number): boolean {
    this.#down -= bytes;
    return this.#down >= 0;
  }

  /** Why nothing more may pass, or null. */
  get problem(): string | null {
    if (this.#up < 0) return 'this task has sent as many bytes as it may';
    return this.#down < 0 ? 'this task has received as many bytes as it may' : null;
  }

  /** @throws Refusal 503 when the bytes are used up. */
  check(): void {
    if (this.problem !== null) throw new Refusal(503, this.problem);
  }
}

/** What one task may use of its door, and what it is told beyond that. */
export class Limits {
  readonly quota: Quota;
  readonly #rate: Rate;
  readonly #perSecond: number;

  constructor(limits: DoorLimits) {
    this.quota = new Quota(limits);
    this.#rate = new Rate(limits.requestsPerSecond);
    this.#perSecond = limits.requestsPerSecond;
  }

  /** Counts a request; what to refuse it with when requests come faster than they may. */
  rateProblem(): Refusal | null {
    return this.#rate.take() ? null : new Refusal(503, `more than ${this.#perSecond} requests a second`);
  }

  /** The same. @throws Refusal 503 */
  checkRate(): void {
    const problem = this.rateProblem();
    if (problem !== null) throw problem;
  }
}

/** How long refusals of overload are counted into one row. */
const FOLDED_MS = 1_000;

/**
 * Rows of what is refused for there being too much of it. A flood of requests is not to become a flood of rows: the
 * first of a second has one at once, the others share the next, which says how many they were.
 */
export class OverloadRows {
  readonly #ledger: Ledger;
  readonly #gatekeeper: Gatekeeper;
  #timer: NodeJS.Timeout | null = null;
  #folded = 0;
  #last: Refusal | null = null;

  constructor(ledger: Ledger, gatekeeper: Gatekeeper) {
    this.#ledger = ledger;
    this.#gatekeeper = gatekeeper;
  }

  add(refusal: Refusal): void {
    if (this.#timer === null) {
      this.#write(refusal.message, refusal);
      this.#timer = setTimeout(() => this.flush(), FOLDED_MS);
    } else {
      this.#folded++;
      this.#last = refusal;
    }
  }

  /** Writes what was counted and has no row yet. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#last !== null) this.#write(`${this.#last.message} (${this.#folded} refused so in one second)`, this.#last);
    this.#folded = 0;
    this.#last = null;
  }

  #write(reason: string, refusal: Refusal): void {
    const asked = { route: 'egress', method: '', host: '', port: 0, path: '' } as const;
    const row = this.#ledger.open({ ...asked, phase: this.#gatekeeper.state.phase });
    row.end({ verdict: refusal.verdict, rule: null, reason, address: null, status: refusal.status });
  }
}
