import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { Budget } from '../agent/budget.ts';
import { runCommands, setUp } from '../agent/verify/run-commands.ts';
import { CoatcheckError, errorText } from '../errors.ts';
import type { FinishRequest } from '../task/protocol.ts';
import { shortId } from '../task/task.ts';
import { verifyCleanly } from './clean-room.ts';
import { openCleanup } from './cleanup.ts';
import type { RunHost } from './host.ts';
import { endOf } from './outcome.ts';
import type { AttemptClient } from './protocol-client.ts';
import { startReport } from './report.ts';
import { openRepository } from './repository.ts';
import { exists, openRoom, type Room } from './room.ts';
import type { Run } from './run.ts';
import { listUntracked, takeOut } from './take-out.ts';
import { type Agent, work } from './work.ts';

/** How often the finish is told before the control plane's lease is left to end the attempt. */
const FINISH_TRIES = 10;

/**
 * One attempt from its claim to its finish. Everything acquired is released last-in first-out, on every way out, before
 * the finish is told; the proof of it goes along.
 */
export async function runTask(wake: { task: string; attempt: number }, host: RunHost, signal: AbortSignal): Promise<void> {
  const claim = await host.control.claim({ ...wake, host: host.facts }, signal);
  if (claim.claim === 'nothing') return host.log.info({ ...wake }, `nothing to do: ${claim.why}`);

  const control = host.control.attempt(claim.token);
  const report = startReport(control, claim.leaseMs);
  const cleanup = openCleanup((text) => host.log.warn({ ...wake }, text));
  const wall = AbortSignal.timeout(claim.work.limits.wallMs);
  const broken = new AbortController();
  const run: Run = {
    host,
    control,
    report,
    cleanup,
    work: claim.work,
    directory: path.join(host.runDirectory, `${shortId(claim.work.task)}-${claim.work.attempt}`),
    signal: AbortSignal.any([signal, report.signal, wall, broken.signal]),
    fail: (error) => broken.abort(error),
  };
  const said: { plan: string | null } = { plan: null };
  let outcome: FinishRequest['outcome'];
  try {
    outcome = await attempt(run, said);
  } catch (error) {
    const cause = broken.signal.aborted ? broken.signal.reason : error;
    outcome = endOf(cause, { wall, report: report.signal, host: signal });
    host.log.info({ ...wake, outcome }, `ended early: ${errorText(cause)}`);
  }
  const proof = await report.step('clean_up', () => cleanup.run());
  if (await report.close()) await finish(control, { cleanup: proof, plan: said.plan, outcome }, claim.leaseMs);
  else host.log.warn({ ...wake }, 'the attempt was given up by the control plane; everything of it is dropped');
}

/** The way of one task, as a list of named steps. */
async function attempt(run: Run, said: { plan: string | null }): Promise<FinishRequest['outcome']> {
  const { report, work: order, control, signal } = run;
  await openDirectory(run);
  const repository = await openRepository(run);
  const room = await openRoom(run, repository, 'work');

  await room.door.set({ phase: 'setup' });
  await report.step('setup', () => setUp(room.context, order.commands));
  await room.door.set({ phase: 'verify' });
  const baseline = await report.step('baseline', () => runCommands(room.context, order.commands, 'baseline'));
  const untracked = await listUntracked(run, room);

  const agent = await openAgent(run, room);
  await room.door.set(agent.open);
  said.plan = (await report.step('plan', () => agent.harness.plan(agent.context))).text;
  const summary = await work(run, room, agent, baseline);

  await room.door.set({ phase: 'shut' });
  const change = await report.step('take_out', () => takeOut(run, room, untracked));
  await room.close();
  if (change === null) return { outcome: 'no_change', summary };

  const verification = await report.step('clean_room', () => verifyCleanly(run, repository, change, baseline));
  report.emit({ type: 'verification', verification });
  const handed = await report.step('hand_over', () => control.change(change.stream(), signal));
  return { outcome: 'change', sha256: handed.sha256, head: change.head, summary, verification };
}

async function openDirectory(run: Run): Promise<void> {
  const { directory } = run;
  await mkdir(directory, { recursive: true, mode: 0o711 });
  run.cleanup.add({
    kind: 'directory',
    id: path.basename(directory),
    release: () => rm(directory, { recursive: true, force: true }),
    gone: async () => !(await exists(directory)),
  });
}

async function openAgent(run: Run, room: Room): Promise<Agent> {
  const { host, work: order, report, signal } = run;
  const grant = await run.control.grant({ grant: 'model' }, signal);
  if (grant.grant !== 'model') throw new Error('The control plane answered with another grant.');
  return {
    harness: host.harness(),
    context: {
      sandbox: room.sandbox,
      work: order,
      model: { doorSocket: room.door.socket, dialect: grant.dialect, name: grant.model },
      budget: new Budget(order.limits),
      emit: report.emit,
      signal,
    },
    open: { phase: 'agent', model: { url: grant.url, key: grant.key } },
  };
}

async function finish(control: AttemptClient, request: FinishRequest, leaseMs: number): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await control.finish(request, AbortSignal.timeout(leaseMs));
    } catch (error) {
      // The finish of which only the answer was lost, or an attempt that was given up meanwhile: nothing is left to tell.
      if (error instanceof CoatcheckError && error.code === 'fenced') return;
      if (tries === FINISH_TRIES) throw error;
      await after(Math.min(1000 * tries, leaseMs / 2));
    }
  }
}
