/** What cases of the control plane share: attempts, an honest change, and what became of one that is not. */
import path from 'node:path';
import { ClaimAnswer } from '../../src/task/protocol.ts';
import type { Outcome } from '../e2e/way.ts';
import type { Observation } from './cases.ts';
import type { Answer, ControlTarget, Held } from './control-rig.ts';
import { shared } from './shared.ts';

export const isClaimed = ({ text }: Answer): boolean => ClaimAnswer.safeParse(JSON.parse(text)).data?.claim === 'granted';
export const short = ({ status, text }: Answer): string => `${status} ${text.slice(0, 120)}`;

/** For the cases that need two attempts at once. */
export const pair = shared(async (target: ControlTarget) => {
  const [ours, theirs] = await Promise.all([target.hold('ours'), target.hold('theirs')]);
  return { ours, theirs };
});
export const beat = { events: [] };

export const gitDirectory = ({ deployment }: ControlTarget, { work }: Held): string =>
  path.join(path.dirname(deployment.dataDirectory), 'forge/repositories', `${work.repository.id}.git`);

/** Branches of the task's repository beside its own. */
export const published = ({ state, repository }: Outcome): number =>
  Object.keys(state.repositories.find(({ fullName }) => fullName === repository)?.refs ?? {}).filter(
    (ref) => ref.startsWith('refs/heads/') && ref !== 'refs/heads/main',
  ).length;

export function unpublished(outcome: Outcome, why: RegExp): Pick<Observation, 'held' | 'seen'> {
  const { state, message } = outcome.end.task;
  const nothing = outcome.pull === undefined && published(outcome) === 0;
  return { held: nothing && why.test(message), seen: `${state}: ${message.trim().slice(0, 200)}` };
}

/** An honest change of the same kind is published. */
export const honestOutcome = shared(async (target: ControlTarget): Promise<Outcome> => {
  const held = await target.hold('honest');
  return target.handOver(held, target.change(held, { 'x.txt': 'x\n' }));
});

export async function honest(target: ControlTarget): Promise<Observation['control']> {
  const outcome = await honestOutcome(target);
  return { worked: outcome.pull !== undefined && published(outcome) === 1, how: `an honest change: ${outcome.end.task.state}` };
}

export async function waitUntil(holds: () => Promise<boolean>): Promise<boolean> {
  for (const until = performance.now() + 15_000; performance.now() < until; ) {
    if (await holds()) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}
