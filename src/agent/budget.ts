import { AgentEnded } from './ended.ts';

/** Turns and tokens of one task, over plan, work and all rounds; the gateway counts on its own as well. */
export class Budget {
  readonly #limits: { readonly turns: number; readonly tokens: number };
  #turns = 0;
  #tokens = 0;

  constructor(limits: { readonly turns: number; readonly tokens: number }) {
    this.#limits = limits;
  }

  get turns(): number {
    return this.#turns;
  }

  get tokens(): number {
    return this.#tokens;
  }

  /** Takes one turn and returns its number, from 1. @throws AgentEnded `turn_limit` or `token_limit` when nothing is left. */
  takeTurn(): number {
    if (this.#turns >= this.#limits.turns) {
      throw new AgentEnded('turn_limit', `The agent used all ${this.#limits.turns} turns without coming to an end.`);
    }
    if (this.#tokens >= this.#limits.tokens) {
      throw new AgentEnded(
        'token_limit',
        `The agent used ${this.#tokens} of ${this.#limits.tokens} tokens without coming to an end.`,
      );
    }
    this.#turns += 1;
    return this.#turns;
  }

  spend(tokens: number): void {
    this.#tokens += tokens;
  }
}
