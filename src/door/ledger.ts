import type { DoorDecision } from './door.ts';

/** What a row says of the request itself. */
export type Asked = Pick<DoorDecision, 'phase' | 'route' | 'method' | 'host' | 'port' | 'path'>;
/** What a row says of its outcome. */
export type Outcome = Pick<DoorDecision, 'verdict' | 'rule' | 'reason' | 'address' | 'status'>;

/** Longest text in a row; a path beyond it is cut, with a mark. */
const TEXT_LIMIT = 2000;

/** Numbers the rows without a gap and hands each to the host. */
export class Ledger {
  #next = 0;
  readonly #write: (decision: DoorDecision) => void;

  constructor(write: (decision: DoorDecision) => void) {
    this.#write = write;
  }

  /** Opens the row of one request. */
  open(asked: Asked): LedgerRow {
    return new LedgerRow(asked, (row) => this.#write({ n: this.#next++, ...row }));
  }
}

/** The row of one request: written exactly once, whatever ends first. */
export class LedgerRow {
  bytesUp = 0;
  bytesDown = 0;
  /** Set by whoever dials. */
  resolver: DoorDecision['resolver'] = null;
  asked: Asked;
  readonly #started = performance.now();
  #write: ((row: Omit<DoorDecision, 'n'>) => void) | null;

  constructor(asked: Asked, write: (row: Omit<DoorDecision, 'n'>) => void) {
    this.asked = asked;
    this.#write = write;
  }

  /** Says which way it goes, once that is known. */
  takes(route: Asked['route']): void {
    this.asked = { ...this.asked, route };
  }

  get written(): boolean {
    return this.#write === null;
  }

  end(outcome: Outcome): void {
    const write = this.#write;
    this.#write = null;
    write?.({
      ...this.asked,
      ...outcome,
      resolver: this.resolver,
      method: clip(this.asked.method),
      host: clip(this.asked.host),
      path: clip(this.asked.path),
      reason: clip(outcome.reason),
      bytesUp: this.bytesUp,
      bytesDown: this.bytesDown,
      ms: Math.round(performance.now() - this.#started),
    });
  }
}

const clip = (text: string): string => (text.length > TEXT_LIMIT ? `${text.slice(0, TEXT_LIMIT)}…` : text);
