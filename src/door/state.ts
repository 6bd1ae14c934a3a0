import type { DoorState } from './door.ts';

/** Something that is open now and may lose its permission when the state changes. */
export interface Live {
  stillAllowed(state: DoorState): boolean;
  cut(reason: string): void;
}

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
    return () => this.#live.delete(live);
  }
}
