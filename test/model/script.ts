import { z } from 'zod';

/** What can go wrong with a model, played on purpose. */
export const Misbehaviour = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('status'), status: z.int(), retryAfter: z.int().optional(), message: z.string().optional() }),
  /** The connection is cut after so many events of the stream. */
  z.strictObject({ kind: z.literal('cut'), afterEvents: z.int().nonnegative() }),
  z.strictObject({ kind: z.literal('nonsense') }),
  z.strictObject({ kind: z.literal('refusal') }),
  z.strictObject({ kind: z.literal('context_exceeded') }),
  /** Says nothing until released or left. */
  z.strictObject({ kind: z.literal('hang') }),
  z.strictObject({ kind: z.literal('slow'), msPerEvent: z.int().positive() }),
]);
export type Misbehaviour = z.infer<typeof Misbehaviour>;

export const ToolCall = z.strictObject({ tool: z.string(), input: z.record(z.string(), z.unknown()) });
export type ToolCall = z.infer<typeof ToolCall>;

/** One answer of the model; it is given when everything that it states about the conversation holds. */
export const Turn = z.strictObject({
  /** How many answers there were since the user last said something (tool results are no word of the user). */
  turn: z.int().nonnegative().optional(),
  /** Regular expression on the last text of the user or the last tool result, without regard to case. */
  match: z.string().optional(),
  /** Regular expression on everything in the conversation so far. */
  seen: z.string().optional(),
  /** A tool of this name is offered. */
  offers: z.string().optional(),
  /** No tool of this name is offered. */
  lacks: z.string().optional(),
  /** Given this often at most; then the next that fits has its turn. */
  times: z.int().positive().optional(),
  text: z.string().default(''),
  calls: z.array(ToolCall).default([]),
  misbehave: Misbehaviour.optional(),
});
export type Turn = z.infer<typeof Turn>;

export const Script = z.array(Turn);
export type Script = z.input<typeof Script>;

/** A conversation as far as scripts look at it, whatever its dialect. */
export interface Conversation {
  readonly turn: number;
  readonly last: string;
  readonly all: string;
  readonly tools: readonly string[];
}

/** Plays a script: gives, for each conversation, the first turn that fits it. */
export class Player {
  readonly #turns: readonly Turn[];
  readonly #given = new Map<Turn, number>();

  constructor(script: unknown) {
    this.#turns = Script.parse(script);
  }

  next(conversation: Conversation): Turn | undefined {
    const turn = this.#turns.find((candidate) => fits(candidate, conversation) && this.#left(candidate));
    if (turn) this.#given.set(turn, (this.#given.get(turn) ?? 0) + 1);
    return turn;
  }

  #left(turn: Turn): boolean {
    return turn.times === undefined || (this.#given.get(turn) ?? 0) < turn.times;
  }
}

function fits(turn: Turn, { turn: number, last, all, tools }: Conversation): boolean {
  return (
    (turn.turn === undefined || turn.turn === number) &&
    (turn.match === undefined || new RegExp(turn.match, 'i').test(last)) &&
    (turn.seen === undefined || new RegExp(turn.seen, 'i').test(all)) &&
    (turn.offers === undefined || tools.includes(turn.offers)) &&
    (turn.lacks === undefined || !tools.includes(turn.lacks))
  );
}
