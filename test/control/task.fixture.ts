/** A task, its work order and events of its record, for tests of what the control plane makes of them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { appendEvent, genesis } from '../../src/audit/chain.ts';
import type { ControlEvent, HostEvent, RecordedEvent } from '../../src/audit/events.ts';
import { Redactor } from '../../src/audit/redact.ts';
import { openRecorder } from '../../src/control/record.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import type { TaskEntry } from '../../src/store/tasks.ts';
import { Task } from '../../src/task/task.ts';
import type { CommandResult, Verification } from '../../src/task/verification.ts';
import { WorkOrder } from '../../src/task/work-order.ts';

export const TASK = '01jd3f7z0kq8m5v2x9c4b6n7ha';
export const OTHER_TASK = '01jd3f7z0kq8m5v2x9c4b6n7hb';
export const SHA = 'a'.repeat(40);
export const REF = { task: TASK, attempt: 1 };

export const task = (changed: Partial<Task> = {}): Task =>
  Task.parse({
    id: TASK,
    installation: 8,
    repository: { id: 5, owner: 'octo', name: 'sample', private: true, defaultBranch: 'main' },
    actor: { id: 3, login: 'ada' },
    issue: { number: 12, title: 'Wrong sum', body: 'It is wrong.', author: { id: 3, login: 'ada' }, hiddenSpansRemoved: 0 },
    base: { ref: 'main', sha: SHA },
    branch: 'coatcheck/issue-12-c4b6n7ha',
    state: 'queued',
    reason: null,
    message: '',
    createdAt: '2026-11-21T10:00:00.000Z',
    endedAt: null,
    ...changed,
  });

export const workOrder = (): WorkOrder =>
  WorkOrder.parse({
    task: TASK,
    attempt: 1,
    repository: task().repository,
    base: task().base,
    issue: task().issue,
    ruleFile: null,
    commands: [],
    yardstick: { tests: [], definitions: [] },
    protectedPaths: [],
    model: { name: 'scripted', dialect: 'anthropic-messages' },
    image: 'coatcheck-runner:latest',
    runtime: 'runsc',
    capabilities: [],
    github: { apiUrl: 'https://api.github.test', webUrl: 'https://github.test' },
    egress: [],
    quarantine: {},
    limits: {},
  });

export const entryOf = (of: Task, traces: Partial<TaskEntry['traces']> = {}, diff: string | null = null): TaskEntry => ({
  task: of,
  work: workOrder(),
  traces: { comment: null, pullRequest: null, checkRun: null, commit: null, ...traces },
  stop: null,
  diff,
});

/** A record that holds these events. */
export function recorded(...events: readonly (HostEvent | ControlEvent)[]): RecordedEvent[] {
  const chain: RecordedEvent[] = [];
  for (const event of events)
    chain.push(appendEvent(chain.at(-1) ?? genesis(REF), { at: '2026-11-21T10:00:00.000Z', witness: 'host', event }));
  return chain;
}

export const result = (changed: Partial<CommandResult> = {}): CommandResult => ({
  phase: 'clean_room',
  kind: 'test',
  command: 'npm test',
  end: 'exited',
  exitCode: 0,
  ms: 1200,
  outputDigest: 'd',
  outputTail: '',
  truncated: false,
  ...changed,
});

export const verification = (changed: Partial<Verification> = {}): Verification => ({
  tree: SHA,
  verdict: { kind: 'passed' },
  results: [result()],
  redOnBase: [],
  yardstickEdits: [],
  ...changed,
});

/** An empty store in a folder of its own. */
export async function emptyStore(t: TestContext): Promise<{ store: Store; directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'coatcheck-store-'));
  const store = await openStore({ directory });
  t.after(async () => {
    await store.close();
    await rm(directory, { recursive: true, force: true });
  });
  return { store, directory };
}

export const recorderOf = (store: Store) => openRecorder({ store, redactorOf: async () => new Redactor([]) });
