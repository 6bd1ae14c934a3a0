/** The control API: what tests and the quickstart may do to the forge, by verb. */
import { z } from 'zod';
import { making } from './making.ts';
import { MisbehaviourRule } from './misbehave.ts';
import { people } from './people.ts';
import { type ControlContext, ControlFailure, verb } from './verb.ts';

const VERBS = {
  ...making,
  ...people,
  redeliver: verb(z.strictObject({ guid: z.string() }), ({ world, deliveries }, { guid }) => {
    const delivery = world.deliveries.find((known) => known.guid === guid);
    if (!delivery) throw new ControlFailure(`no delivery ${guid}`);
    deliveries.redeliver(delivery);
  }),
  misbehave: verb(MisbehaviourRule, ({ misbehaviour }, rule) => ({ id: misbehaviour.add(rule) })),
  release: verb(z.strictObject({ id: z.int() }), ({ misbehaviour }, { id }) => misbehaviour.release(id)),
  advanceClock: verb(z.strictObject({ ms: z.int().nonnegative() }), ({ world }, { ms }) => world.advanceClock(ms)),
} as const;

export type Verb = keyof typeof VERBS;
export type Input<V extends Verb> = z.input<(typeof VERBS)[V]['input']>;

export const isVerb = (name: string): name is Verb => Object.hasOwn(VERBS, name);

/** Runs one verb on unchecked input. @throws ControlFailure, or zod's error for input of another shape */
export const runVerb = (context: ControlContext, name: Verb, input: unknown): Promise<unknown> => VERBS[name].run(context, input);
