/** The verbs of the control API: each with the shape of its input. */
import { z } from 'zod';
import type { Context } from './call.ts';
import type { Account, Issue, Repository } from './entities.ts';
import type { Misbehaviour } from './misbehave.ts';
import type { World } from './world.ts';

export interface ControlContext extends Context {
  readonly misbehaviour: Misbehaviour;
}

/** A request that the forge's own user got wrong. */
export class ControlFailure extends Error {}

/** A verb that parses its input before it runs. */
export function verb<S extends z.ZodType>(input: S, run: (context: ControlContext, given: z.output<S>) => unknown) {
  return {
    input,
    run: async (context: ControlContext, raw: unknown): Promise<unknown> => (await run(context, input.parse(raw))) ?? null,
  };
}

/** Which issue, and who acts. */
export const Where = z.strictObject({ repository: z.string(), number: z.int(), as: z.string() });

/** @throws ControlFailure */
export function person(world: World, login: string): Account {
  const account = world.account(login);
  if (!account) throw new ControlFailure(`no account ${login}`);
  return account;
}

/** By `OWNER/NAME`. @throws ControlFailure */
export function repositoryNamed(world: World, fullName: string): Repository {
  const [owner = '', name = ''] = fullName.split('/');
  const repository = world.repository(owner, name);
  if (!repository) throw new ControlFailure(`no repository ${fullName}`);
  return repository;
}

/** @throws ControlFailure */
export function issueAt(world: World, at: { repository: string; number: number }): Issue {
  const issue = world.issue(repositoryNamed(world, at.repository), at.number);
  if (!issue) throw new ControlFailure(`no issue ${at.repository}#${at.number}`);
  return issue;
}
