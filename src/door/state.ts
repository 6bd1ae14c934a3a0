import type { DoorState } from './door.ts';

/** Something that is open now and may lose its permission: when the state changes, or by time. */
export interface Live {
  stillAllowed(state: DoorState): boolean;
  /** When its rule expires, in milliseconds since 1970; null for never. */
  readonly until: number | null;
  cut(reason: string): void;
}

/** The longest that a timer of Node can wait. */
const LONGEST_MS = 2 ** 31 - 1;

/** The door's present state and everything that stands open under it. It starts shut. */
export class Gatekeeper {
  #state: DoorState = { phase: 'shut' };
  readonly #live = new Set<Live>();

  get state(): DoorState {
    return this.#state;
  }

  /** Puts a new state in force and cuts what it does not allow. */
  set(state: DoorState): void {
    this.#state = state;
    for (const live of [...this.#live]) if (!live.stillAllowed(state)) live.cut(`the door's phase became ${state.phase}`);
  }

  /** Watches over an open exchange or tunnel; call what it returns at its end. */
  watch(live: Live): () => void {
    this.#live.add(live);
    let timer: NodeJS.Timeout | undefined;
    const wait = (until: number) => {
      const left = until - Date.now();
      // A clock that is set back prolongs the wait; a timer never fires before its time by it.
      if (left <= 0) live.cut('its rule expired');
      else timer = setTimeout(() => wait(until), Math.min(left, LONGEST_MS));
    };
    if (live.until !== null) wait(live.until);
    return () => {
      clearTimeout(timer);
      this.#live.delete(live);
    };
  }
}
