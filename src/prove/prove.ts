import { errorText } from '../errors.ts';
import type { EgressRule } from '../policy/egress.ts';
import { DOOR_PROCESS_PROBES } from './door-process.ts';
import type { Ground } from './ground.ts';
import { CLASSES, NotHere, type Observation, type Probe, type ProbeClass } from './probe.ts';
import { doorProbes } from './probes-door.ts';
import { CREDENTIAL_PROBES, INSIDE_PROBES } from './probes-inside.ts';
import { LIMITS_PROBES } from './probes-limits.ts';

/** A probe as it was tried. */
export interface Tried {
  readonly class: ProbeClass;
  readonly name: string;
  readonly attempt: string;
  readonly expected: string;
  readonly outcome: 'held' | 'failed' | 'skipped';
  /** What was seen; for a failed one with the reason, for a skipped one the reason alone. */
  readonly seen: string;
}

/** Counts for programs. */
export interface Proof {
  readonly cases: number;
  readonly held: number;
  readonly failed: readonly { readonly name: string; readonly why: string }[];
  readonly skipped: readonly { readonly name: string; readonly why: string }[];
}

type Ready = Omit<Probe<never>, 'run'> & { readonly run: () => Promise<Observation> };

const on = <G>(ground: G, probes: readonly Probe<G>[]): Ready[] =>
  probes.map((probe) => ({ ...probe, run: () => probe.run(ground) }));

/** All probes on this ground, in the order of the classes: what fills disks and ends sandboxes comes last. */
function probesOn(ground: Ground, rules: readonly EgressRule[]): Ready[] {
  const all = [
    ...on(ground.inside, INSIDE_PROBES),
    ...on(ground.door, doorProbes(rules)),
    ...on(ground.inside, CREDENTIAL_PROBES),
    ...on(ground.process, DOOR_PROCESS_PROBES),
    ...on(ground.limits, LIMITS_PROBES),
  ];
  return CLASSES.flatMap((kind) => all.filter((probe) => probe.class === kind));
}

/** Tries every probe, of one class or of all, one after another. */
export async function* prove(
  ground: Ground,
  rules: readonly EgressRule[],
  only: ProbeClass | null,
  signal: AbortSignal,
): AsyncGenerator<Tried> {
  for (const probe of probesOn(ground, rules)) {
    if (only !== null && probe.class !== only) continue;
    signal.throwIfAborted();
    const { class: kind, name, attempt, expected } = probe;
    yield { class: kind, name, attempt, expected, ...(await outcomeOf(probe)) };
  }
}

async function outcomeOf(probe: Ready): Promise<Pick<Tried, 'outcome' | 'seen'>> {
  try {
    const { held, seen, control } = await probe.run();
    if (!control.worked) return { outcome: 'failed', seen: `nothing is proven: not so that ${control.how}; seen: ${seen}` };
    return { outcome: held ? 'held' : 'failed', seen };
  } catch (thrown) {
    return { outcome: thrown instanceof NotHere ? 'skipped' : 'failed', seen: errorText(thrown) };
  }
}

export function proofOf(tried: readonly Tried[]): Proof {
  const of = (outcome: Tried['outcome']) =>
    tried
      .filter((one) => one.outcome === outcome)
      .map(({ class: kind, name, seen }) => ({ name: `${kind}: ${name}`, why: seen }));
  return { cases: tried.length, held: of('held').length, failed: of('failed'), skipped: of('skipped') };
}
