import { mkdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { RunContext } from '../agent/verify/run-commands.ts';
import { DOOR_LIMITS, type Door, GIT_ROUTE } from '../door/door.ts';
import { openDoor } from '../door/open-door.ts';
import { CoatcheckError } from '../errors.ts';
import { checkoutCommands, type LayIn } from '../git/lay-in.ts';
import { type Sandbox, type SandboxService, WORK_TREE } from '../sandbox/sandbox.ts';
import { kernelReport } from './kernel-report.ts';
import type { Repository } from './repository.ts';
import { ruleCredentials } from './rule-credentials.ts';
import type { Run } from './run.ts';

const LAY_IN_MS = 10 * 60_000;

/** What a sandbox is for. */
type Purpose = 'work' | 'clean_room' | 'yardstick';

/** A sandbox with its door, and the repository's base in it. */
export interface Room {
  readonly sandbox: Sandbox;
  readonly door: Door;
  /** For running the repository's commands in it. */
  readonly context: RunContext;
  /** Releases door and sandbox before the run's end. */
  close(): Promise<void>;
}

/** Whether a path is there. */
export const exists = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  );

/**
 * Starts a sandbox and opens its door, side by side, and lays the base in. The door's directory is made first because it
 * is mounted; the socket appears in it once the door listens.
 */
export async function openRoom(run: Run, repository: Repository, purpose: Purpose): Promise<Room> {
  const { report, work, cleanup, signal } = run;
  const mark = cleanup.mark();
  const doorDirectory = path.join(run.directory, purpose);
  await mkdir(doorDirectory, { recursive: true });
  const [sandbox, door] = await bothOrNeither(
    report.step('sandbox', () => createSandbox(run, doorDirectory, purpose)),
    report.step('door', () => openItsDoor(run, repository, doorDirectory, purpose)),
  );
  await sandbox.trust(`${door.authority}\n${run.host.authorities}`);
  const context: RunContext = { sandbox, limits: work.limits, emit: report.emit, signal };
  const room: Room = { sandbox, door, context, close: async () => void (await cleanup.run(mark)) };
  const laidIn = await repository.layIn;
  await report.step('lay_in', () => unpack(run, laidIn, room));
  return room;
}

/** Waits for both, so that what one of them acquired is released when the other fails. */
async function bothOrNeither<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([a, b]);
  return Promise.all([a, b]);
}

async function createSandbox(run: Run, doorDirectory: string, purpose: Purpose): Promise<Sandbox> {
  const { work, report } = run;
  const limits = work.limits.sandbox;
  const labels = { task: work.task, attempt: String(work.attempt), purpose };
  const { image, runtime } = work;
  const kernel = kernelReport(report.emit);
  const sandbox = await run.host.sandboxes.create(
    {
      image,
      runtime,
      limits,
      doorDirectory,
      capabilities: work.capabilities,
      services: servicesOf(work),
      onKernel: kernel.saw,
      labels,
    },
    run.signal,
  );
  if (sandbox.workDisk !== undefined) run.cleanup.add(ofWorkDisk(sandbox.workDisk));
  run.cleanup.add(ofSandbox(run, sandbox, kernel));
  report.emit({
    type: 'sandbox.created',
    sandbox: sandbox.id,
    purpose,
    limits,
    ...sandbox.facts,
    capabilities: [...sandbox.facts.capabilities],
  });
  kernel.begin(sandbox.id);
  return sandbox;
}

async function openItsDoor(run: Run, repository: Repository, directory: string, purpose: Purpose): Promise<Door> {
  const { host, report, work, signal } = run;
  const door = await openDoor({
    directory,
    rules: work.egress,
    gitSocket: repository.gateway.socket,
    repositories: repository.granted,
    github: { ...work.github, repository: work.repository, issue: work.issue },
    credentials: await ruleCredentials(run),
    limits: DOOR_LIMITS,
    authorities: host.authorities,
    upstreamProxy: host.upstreamProxy,
    hosts: host.hosts,
    onDecision: (decision) => report.emit({ type: 'door.decision', purpose, ...decision }),
    signal,
  });
  run.cleanup.add(ofDoor(run, door));
  return door;
}

/** Unpacks the base's `.git` inside and checks it out there. */
async function unpack(run: Run, laidIn: LayIn, { sandbox }: Room): Promise<void> {
  const startedAt = performance.now();
  const { base } = run.work;
  for (const { command, env, stdin } of checkoutCommands({ sha: base.sha, workTree: WORK_TREE })) {
    const result = await sandbox.exec({
      command,
      env,
      stdin: stdin === 'tar' ? laidIn.stream() : Buffer.alloc(0),
      timeoutMs: LAY_IN_MS,
      outputLimit: 64 * 1024,
      signal: run.signal,
    });
    run.signal.throwIfAborted();
    if (result.end === 'exited' && result.exitCode === 0) continue;
    throw new CoatcheckError(
      /No space left/.test(result.output) ? 'repository_too_large' : 'lay_in_failed',
      `The repository could not be checked out in the sandbox: ${result.output.slice(-500).trim() || result.end}`,
      'If it is too large for the sandbox, raise limits.work_disk in the policy, and limits.memory or set limits.work_in: disk.',
    );
  }
  run.report.emit({
    type: 'repository.laid_in',
    sandbox: sandbox.id,
    sha: base.sha,
    bytes: laidIn.packBytes,
    ms: performance.now() - startedAt,
  });
}

function ofSandbox(run: Run, sandbox: Sandbox, kernel: ReturnType<typeof kernelReport>) {
  let closed = false;
  return {
    kind: 'sandbox',
    id: sandbox.id.slice(0, 12),
    release: async () => {
      await sandbox.close();
      closed = true;
      kernel.end(await sandbox.kernel);
      run.report.emit({ type: 'sandbox.ended', sandbox: sandbox.id, cause: await sandbox.died });
    },
    // `close` has looked for it at the engine; it rejects when it is still there, and then the next sweep is at it.
    gone: async () => closed,
  };
}

/** The sandbox takes its disk along; this row looks whether it did. */
const ofWorkDisk = (mount: string) => ({
  kind: 'work disk',
  id: path.basename(path.dirname(mount)),
  release: async () => {},
  gone: async () => !(await exists(mount)),
});

/** Services that rules open in any phase; the door decides on each connection. */
const servicesOf = ({ egress }: Run['work']): SandboxService[] =>
  egress.flatMap((rule) => (rule.how === 'service' ? [{ listen: rule.listen, host: rule.host, port: rule.port }] : []));

function ofDoor(run: Run, door: Door) {
  let wanted = false;
  void door.died.then(() => {
    if (!wanted)
      run.fail(new CoatcheckError('door_died', 'The door’s process ended unexpectedly.', 'The task is tried again by itself.'));
  });
  return {
    kind: 'door',
    id: path.basename(path.dirname(door.socket)),
    release: async () => {
      wanted = true;
      await door.close();
      await rm(path.dirname(door.socket), { recursive: true, force: true });
    },
    gone: async () => !(await exists(door.socket)),
  };
}

/** Where git finds the task's own repository from inside. */
export const originUrl = (repository: { owner: string; name: string }): string =>
  `http://${GIT_ROUTE}/${repository.owner}/${repository.name}.git`;
