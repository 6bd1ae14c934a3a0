import { randomBytes, randomUUID } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DOOR_LIMITS, type Door, type DoorDecision } from '../door/door.ts';
import { openDoor } from '../door/open-door.ts';
import { type EffectivePolicy, effectivePolicy } from '../policy/effective-policy.ts';
import type { EgressRule } from '../policy/egress.ts';
import type { OperatorConfig } from '../policy/operator-config.ts';
import { loadPresets } from '../policy/presets.ts';
import { openDocker, type SandboxDriver } from '../sandbox/docker.ts';
import type { Sandbox, SandboxSpec } from '../sandbox/sandbox.ts';
import { canaryCredentials, canaryHosts, canaryRules, conversationsOf, type DoorGround, talkToDoor } from './door-ground.ts';
import { type DoorProcessGround, listenerOf } from './door-process.ts';
import { type InsideGround, lookInside, RELAY_PORT } from './inside-ground.ts';
import { type LimitsGround, reachForLimits } from './limits-ground.ts';
import { type Outside, openOutside } from './outside.ts';
import { doorProbes } from './probes-door.ts';

const MiB = 1024 * 1024;
/** What a sandbox gets that is to run out of memory. */
const LITTLE = { memoryBytes: 400 * MiB, workBytes: 64 * MiB, tmpBytes: 64 * MiB };

export interface GroundOptions {
  readonly operator: OperatorConfig;
  readonly dockerSocket: string;
  readonly dataDirectory: string;
  readonly signal: AbortSignal;
}

/** What probes are run on: a sandbox with its door, both made as for a task, from the operator's own policy. */
export interface Ground {
  readonly policy: EffectivePolicy;
  readonly sandbox: Sandbox;
  readonly outside: Outside;
  readonly inside: InsideGround;
  readonly door: DoorGround;
  readonly limits: LimitsGround;
  readonly process: DoorProcessGround;
}

/** The operator's own rules: of presets that are open by themselves, and every grant that a repository could ask for. */
export function operatorRules(operator: OperatorConfig): EgressRule[] {
  const presets = [...loadPresets(operator.egress.presets).values()].flat();
  return [...presets, ...operator.egress.grants];
}

/**
 * Opens all of it and releases it in the opposite order. Names resolve to this machine by a table, so that nothing that
 * a probe does leaves it.
 * @throws CoatcheckError as creating a sandbox and opening a door do.
 */
export async function openGround(options: GroundOptions): Promise<Ground & { close(): Promise<void> }> {
  const { operator, signal } = options;
  const release: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (let last = release.pop(); last !== undefined; last = release.pop()) await last();
  };
  try {
    const directory = await mkdtemp(path.join(tmpdir(), 'coatcheck-prove-'));
    release.push(() => rm(directory, { recursive: true, force: true }));
    // Whatever got at the folder from inside could read it: only its not being there may hold.
    await chmod(directory, 0o755);
    const outside = await openOutside(directory);
    release.push(() => outside.close());
    const driver = openDocker({
      socketPath: options.dockerSocket,
      owner: { deployment: `prove-${randomUUID()}`, host: 'prove' },
      disks: path.join(directory, 'disks'),
    });
    release.push(() => driver.close());
    const policy = effectivePolicy({ operator, organisation: null, repository: null, ruleFile: null, now: Date.now() });
    const spec = await specFor(policy, path.join(directory, 'door'));
    const rules = operatorRules(operator);
    const secrets = {
      credential: `canary-${randomBytes(18).toString('hex')}`,
      modelKey: `canary-${randomBytes(18).toString('hex')}`,
    };
    const sandbox = await driver.create(spec, signal);
    const rows: DoorDecision[] = [];
    const door = await openItsDoor(spec, rules, { ...secrets, outside, rows, signal });
    release.push(() => door.close());
    await sandbox.trust(door.authority);
    return {
      ...{ policy, sandbox, outside, close },
      inside: lookInside({ sandbox, outside, secrets, listens: [RELAY_PORT] }),
      door: talkToDoor({ sandbox, door, rows, outside, ...secrets, conversations: conversationsOf(doorProbes(rules)) }),
      limits: reachForLimits({ sandbox, limits: spec.limits, freeOnHost, toDestroy: () => toDestroy(driver, spec, signal) }),
      process: {
        doorPid: once(() => listenerOf(door.socket)),
        dataDirectory: options.dataDirectory,
        dockerSocket: options.dockerSocket,
      },
    };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

async function specFor(policy: EffectivePolicy, doorDirectory: string): Promise<SandboxSpec> {
  await mkdir(doorDirectory);
  return {
    image: policy.image,
    runtime: policy.runtime,
    limits: policy.limits.sandbox,
    doorDirectory,
    capabilities: policy.capabilities,
    services: [],
    onKernel: () => {},
    labels: { task: 'prove', attempt: '1', purpose: 'prove' },
  };
}

interface DoorParts {
  readonly outside: Outside;
  readonly credential: string;
  readonly rows: DoorDecision[];
  readonly signal: AbortSignal;
}

async function openItsDoor(spec: SandboxSpec, own: readonly EgressRule[], parts: DoorParts): Promise<Door> {
  const rules = [...own.filter((rule) => rule.how !== 'repository'), ...canaryRules(parts.outside.web.port)];
  return openDoor({
    directory: spec.doorDirectory ?? '',
    rules,
    gitSocket: null,
    repositories: [],
    github: null,
    credentials: canaryCredentials(parts.credential),
    limits: DOOR_LIMITS,
    authorities: parts.outside.web.authority,
    // A forward proxy would carry what a broken door lets through off this machine.
    upstreamProxy: null,
    hosts: canaryHosts(rules),
    onDecision: (row) => void parts.rows.push(row),
    signal: parts.signal,
  });
}

/** Looks once; every process of the host is looked through for it. */
function once<T>(look: () => Promise<T>): () => Promise<T> {
  let found: Promise<T> | null = null;
  return () => {
    found ??= look();
    return found;
  };
}

async function toDestroy(driver: SandboxDriver, spec: SandboxSpec, signal: AbortSignal): Promise<Sandbox> {
  const limits = { ...spec.limits, ...LITTLE, workIn: 'memory' as const };
  return driver.create({ ...spec, limits, doorDirectory: null }, signal);
}

async function freeOnHost(): Promise<number> {
  const places = ['/var/lib/docker', '/'];
  for (const place of places) {
    const found = await statfs(place).catch(() => null);
    if (found !== null) return found.bavail * found.bsize;
  }
  return 0;
}
