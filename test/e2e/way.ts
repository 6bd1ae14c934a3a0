/**
 * The whole way of an issue, for tests: the product as it ships beside a forge and a scripted model.
 *
 *   const way = await startWay({ script: scenario('case-colour', { rounds: [[{ calls: [write('a.txt', 'b\n')] }, { text: 'Title' }]] }) });
 *   const { end, events } = await way.runIssue({ files: { 'a.txt': 'a\n' }, title: 'case-colour' });
 *   await way.close();
 *
 * One for each test file: starting takes some seconds. Issues may run at the same time.
 */
import assert from 'node:assert/strict';
import { createPublicKey, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, watch } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Docker from 'dockerode';
import { z } from 'zod';
import type { RecordedEvent } from '../../src/audit/events.ts';
import { PUBLIC_FILE } from '../../src/audit/key.ts';
import { type RecordVerdict, verifyRecord } from '../../src/audit/verify.ts';
import { type Deployment, type DeploymentOptions, HUMAN, OWNER, startDeployment } from '../../src/cli/quickstart/deployment.ts';
import { followTask, type TaskEnd, taskOn } from '../../src/cli/quickstart/follow.ts';
import { deploymentFilter } from '../../src/sandbox/owner.ts';
import { isEnd, shortId, Task } from '../../src/task/task.ts';
import type { Forge, ForgeState } from '../forge/forge.ts';
import { type ScriptedModel, startScriptedModel } from '../model/model.ts';
import type { Script } from '../model/script.ts';

export { HUMAN, OWNER } from '../../src/cli/quickstart/deployment.ts';

/**
 * Accounts that the App is installed on, the quickstart's first. The product paces what it writes per installation, as
 * GitHub asks of it: each has room for about four tasks a minute, so repositories are spread over them.
 */
export const ACCOUNTS = [OWNER, ...Array.from({ length: 7 }, (_, index) => `${OWNER}-${index + 2}`)];
/** How long one task may take; a bound, not an expectation. */
const TASK_MS = 180_000;
const LABEL = 'coatcheck';

export type Issue = ForgeState['issues'][number];
type Answer = Omit<Script[number], 'seen' | 'turn' | 'offers' | 'lacks'>;

/** What the agent of one issue does. */
export interface Scenario {
  readonly plan?: string;
  /** Answers of the plan before the plan itself. */
  readonly planning?: readonly Answer[];
  /** The answers of each round of work; the last of a round holds no call. A round more than these plays the last again. */
  readonly rounds: readonly (readonly Answer[])[];
}

export const run = (command: string, timeoutSeconds?: number) => ({
  tool: 'run',
  input: { command, ...(timeoutSeconds !== undefined && { timeout_seconds: timeoutSeconds }) },
});
export const write = (file: string, content: string) => ({ tool: 'write', input: { path: file, content } });
export const edit = (file: string, from: string, to: string) => ({ tool: 'edit', input: { path: file, old: from, new: to } });

/**
 * The script for issues whose text holds `marker`: letters, digits and hyphens, in a form that no prompt of the product
 * or other marker has, for example `case-red`.
 * It depends on the conversation alone, so another attempt or another issue with the marker gets the same.
 */
export function scenario(marker: string, { plan, planning = [], rounds }: Scenario): Script {
  const word = whole(marker);
  const worked = rounds.flatMap((answers, round) =>
    answers.map((answer, turn) => ({
      ...answer,
      offers: 'edit',
      seen: `${word}(?:[\\s\\S]*The runner verified your change){${round}}`,
      ...(turn < answers.length - 1 && { turn }),
    })),
  );
  // What asks for more of the conversation stands first.
  const byRound = rounds.map((answers) => worked.splice(0, answers.length)).reverse();
  return [
    ...planning.map((answer, turn) => ({ ...answer, lacks: 'edit', seen: word, turn })),
    { lacks: 'edit', seen: word, text: plan ?? `1. Do what ${marker} asks for.` },
    ...byRound.flat(),
  ];
}

/** The marker, and not as a part of a longer one. */
const whole = (marker: string): string => `(?<![\\w-])${marker}(?![\\w-])`;

export interface IssueOptions {
  readonly title: string;
  readonly body?: string;
  /** The repository's files, for one that is made for this issue. */
  readonly files?: Parameters<Forge['createRepository']>[0]['files'];
  /** More of what the forge makes the repository from: `owner`, `fromPath`, `drafts`, `private` … */
  readonly repository?: Partial<Omit<Parameters<Forge['createRepository']>[0], 'files'>>;
  /** Who writes the issue and labels it. */
  readonly as?: string;
}

/** An issue that was handed in. */
export interface Place {
  /** `owner/name`. */
  readonly repository: string;
  readonly number: number;
}

/** A task that runs. */
export interface Running extends Place {
  readonly task: string;
  readonly page: string;
  /** Resolves with the first recorded event of this type that suits; rejects when the task ends without one. */
  event<T extends EventType>(type: T, suits?: (event: EventOf<T>) => boolean): Promise<EventOf<T>>;
  /** Its end, after the invariants of every task were checked. */
  readonly outcome: Promise<Outcome>;
}
type EventType = RecordedEvent['event']['type'];
export type EventOf<T extends EventType> = Extract<RecordedEvent['event'], { type: T }>;

/** A task that came to its end. */
export interface Outcome extends Place {
  readonly task: string;
  readonly page: string;
  readonly end: TaskEnd;
  readonly events: readonly RecordedEvent[];
  /** The forge after the end. */
  readonly state: ForgeState;
  readonly issue: Issue;
  readonly pull: Issue | undefined;
  /** The sealed record, verified with the deployment's public key. */
  readonly record: Extract<RecordVerdict, { ok: true }>;
}

type Ended = Pick<Outcome, 'repository' | 'number' | 'task' | 'page' | 'end' | 'events'>;

/** All events of one type, as they are typed. */
export const eventsOf = <T extends EventType>(events: readonly RecordedEvent[], type: T): EventOf<T>[] =>
  events.flatMap(({ event }) => (event.type === type ? [event as EventOf<T>] : []));

export interface WayOptions {
  readonly script: Script;
  readonly policy?: DeploymentOptions['policy'];
  readonly environment?: DeploymentOptions['environment'];
  readonly mode?: DeploymentOptions['mode'];
  readonly dialect?: 'anthropic-messages' | 'openai-chat';
  /** The model's key, where the test looks for it. */
  readonly modelKey?: string;
}

export type Way = Awaited<ReturnType<typeof startWay>>;

/** Starts the forge, the scripted model and the product. To be closed. */
export async function startWay(options: WayOptions) {
  const directory = await mkdtemp(path.join(tmpdir(), 'coatcheck-way-'));
  const release = new AsyncDisposableStack();
  release.defer(() => rm(directory, { recursive: true, force: true }));
  const ending = new AbortController();
  try {
    const dialect = options.dialect ?? 'anthropic-messages';
    const model = release.use(
      await startScriptedModel({ dialect, script: options.script, ...(options.modelKey && { key: options.modelKey }) }),
    );
    const deployment = await startDeployment({
      directory,
      model: { dialect, baseUrl: model.url, apiKey: model.key, name: 'scripted', price: { input: 3, output: 15 } },
      policy: { installations: ACCOUNTS, ...options.policy },
      ...(options.mode && { mode: options.mode }),
      environment: { COATCHECK_HOST_SLOTS: '3', ...options.environment },
    });
    release.defer(() => deployment.close());
    release.defer(() => ending.abort());
    await installEverywhere(deployment);
    const publicKey = createPublicKey(await readFile(path.join(deployment.dataDirectory, PUBLIC_FILE), 'utf8'));
    return openWay({ deployment, model, publicKey, ending, close: () => release.disposeAsync() });
  } catch (error) {
    await release.disposeAsync();
    throw error;
  }
}

async function installEverywhere({ forge, app }: Deployment): Promise<void> {
  for (const owner of ACCOUNTS.slice(1)) {
    await forge.createUser(owner);
    await forge.install({ app: app.slug, owner });
  }
}

interface WayParts {
  readonly deployment: Deployment;
  readonly model: ScriptedModel;
  readonly publicKey: KeyObject;
  readonly ending: AbortController;
  readonly close: () => Promise<void>;
}

function openWay({ deployment, model, publicKey, ending, close }: WayParts) {
  const { forge, url } = deployment;
  let repositories = 0;

  /** A repository and an issue on it; nobody has asked for anything yet. */
  async function openIssue(options: IssueOptions): Promise<Place> {
    const count = repositories++;
    const owner = options.repository?.owner ?? ACCOUNTS[count % ACCOUNTS.length] ?? OWNER;
    const name = options.repository?.name ?? `work-${count + 1}`;
    const as = options.as ?? HUMAN;
    const collaborators = { [HUMAN]: 'write' as const, ...options.repository?.collaborators };
    await forge.createRepository({ ...options.repository, owner, name, files: options.files ?? {}, collaborators });
    const repository = `${owner}/${name}`;
    const { number } = await forge.createIssue({ repository, as, title: options.title, body: options.body ?? null });
    return { repository, number };
  }

  const label = ({ repository, number }: Place, as = HUMAN) => forge.labelIssue({ repository, number, as, label: LABEL });

  /** Follows the newest task of an issue; `after` names one that is not it. */
  async function follow(at: Place, after?: string): Promise<Running> {
    const signal = AbortSignal.any([ending.signal, AbortSignal.timeout(TASK_MS)]);
    const { id, page } = await newestTask(at, signal, after).catch(async (error: unknown) => {
      throw new Error(`no task for ${at.repository}#${at.number}; troubles in the log:\n${await troubles()}`, { cause: error });
    });
    const events: RecordedEvent[] = [];
    let arrived = Promise.withResolvers<void>();
    const end = followTask(
      page,
      (event) => {
        events.push(event);
        arrived.resolve();
        arrived = Promise.withResolvers();
      },
      signal,
    );
    const outcome = end.then((ended) => concluded({ ...at, task: id, page, end: ended, events }));
    outcome.catch(() => {}); // whoever awaits it hears of it
    return {
      ...at,
      task: id,
      page,
      outcome,
      async event(type, suits = () => true) {
        let ended = false;
        const atEnd = end.then(() => {
          ended = true;
        });
        atEnd.catch(() => {});
        for (let seen = 0; ; ) {
          const more = arrived.promise;
          for (; seen < events.length; seen++) {
            const event = events[seen]?.event;
            if (event?.type === type && suits(event as EventOf<typeof type>)) return event as EventOf<typeof type>;
          }
          if (ended) throw new Error(`task ${id} ended without ${type}: ${events.map((e) => e.event.type).join(' ')}`);
          await Promise.race([more, atEnd]);
        }
      },
    };
  }

  /** What the product logged above mere information, for the texts of failures. */
  async function troubles(): Promise<string> {
    const lines = (await readFile(deployment.product.logFile, 'utf8')).split('\n');
    return lines
      .filter((line) => !line.includes('"level":30,'))
      .join('\n')
      .slice(-4000);
  }

  async function newestTask(at: Place, signal: AbortSignal, after: string | undefined): Promise<{ id: string; page: string }> {
    for (;;) {
      const found = await taskOn(url, at.repository, at.number, signal);
      if (found.id !== after) return found;
      await forge.state((await forge.state()).version);
    }
  }

  async function concluded(ran: Ended): Promise<Outcome> {
    const state = await forge.state();
    const record = await checkTask(ran, state);
    return { ...ran, state, record, issue: issueAt(state, ran), pull: pullsOf(state, ran)[0] };
  }

  /** Changes that are kept on purpose. */
  const held = new Set<string>();

  /** What holds at the end of every task, however it ended. */
  async function checkTask({ repository, task, end }: Ended, state: ForgeState) {
    assert.ok(isEnd(end.task.state), `${end.task.state} is an end`);
    const verdict = verifyRecord(await readFile(end.record), [publicKey]);
    assert.ok(verdict.ok, `the record verifies: ${JSON.stringify(verdict)}`);
    assert.equal(verdict.events.filter(({ event }) => event.type === 'attempt.ended').length, 1, 'one end in the record');
    const live = state.tokens.filter((token) => token.repositories?.includes(repository) && token.state === 'live');
    assert.deepEqual(tasksTokens(live), [], 'every token of the task is revoked');
    assert.deepEqual(await containers(`coatcheck.task=${task}`), [], 'no container of the task');
    assert.deepEqual(
      below(deployment.product.pid).filter(({ line }) => line.includes(`/${shortId(task)}-`)),
      [],
      'no process of the task',
    );
    assert.deepEqual(
      runDirectories(deployment.product.pid).filter((name) => name.startsWith(shortId(task))),
      [],
      'no run directory',
    );
    const kept = existsSync(path.join(deployment.dataDirectory, 'changes', `${task}-${end.attempt}`));
    assert.equal(kept, end.task.state === 'held', 'a held change is kept, and no other');
    if (kept) held.add(`${task}-${end.attempt}`);
    assert.deepEqual(state.unsupported, [], 'GitHub has every operation that is called');
    assert.deepEqual(state.offences, [], 'the forge speaks as GitHub does');
    const pulls = pullsOf(state, { repository }).filter((pull) => pull.pull?.head === end.task.branch);
    assert.ok(pulls.length <= 1, 'at most one pull request');
    return verdict;
  }

  return {
    deployment,
    forge,
    model,
    url,
    publicKey,
    close,
    [Symbol.asyncDispose]: close,
    openIssue,
    label,
    follow,

    /** Hands an issue in; resolves once its task is there. */
    async begin(options: IssueOptions): Promise<Running> {
      const at = await openIssue(options);
      await label(at, options.as);
      return follow(at);
    },

    /** Hands an issue in and waits for its end, with the invariants of every task checked. */
    async runIssue(options: IssueOptions): Promise<Outcome> {
      return (await this.begin(options)).outcome;
    },

    /** The diff on a task's page; null when there is none. */
    async diff({ page }: Pick<Running, 'page'>): Promise<string | null> {
      const response = await fetch(`${page}/diff`);
      return response.ok ? await response.text() : null;
    },

    /** A task's page as text. */
    page: async ({ page }: Pick<Running, 'page'>): Promise<string> => (await fetch(page)).text(),

    /** What the product logged so far. */
    log: (): Promise<string> => readFile(deployment.product.logFile, 'utf8'),

    /** Resolves once the product has logged a line like this. */
    async logged(line: RegExp): Promise<void> {
      const { logFile } = deployment.product;
      const signal = AbortSignal.any([ending.signal, AbortSignal.timeout(TASK_MS)]);
      const watcher = watch(logFile);
      try {
        for (;;) {
          const changed = once(watcher, 'change', { signal });
          changed.catch(() => {}); // of no interest once the line is there
          if (line.test(await readFile(logFile, 'utf8'))) return;
          await changed;
        }
      } finally {
        watcher.close();
      }
    },

    /** Ids of all tasks of an issue, the newest first. */
    async tasks({ repository, number }: Place): Promise<string[]> {
      const listed = Listed.parse(await (await fetch(`${url}/tasks.json`)).json());
      const own = listed.filter(({ task }) => `${task.repository.owner}/${task.repository.name}` === repository);
      return own.filter(({ task }) => task.issue.number === number).map(({ task }) => task.id);
    },

    /** Requests that the model got for conversations that hold the marker, as JSON texts in their order. */
    async asked(marker: string): Promise<string[]> {
      const texts = (await model.requests()).map(({ body }) => JSON.stringify(body));
      return texts.filter((text) => new RegExp(whole(marker)).test(text));
    },

    /** Nothing of any task is left while the product goes on: no container, no process but its own, no directory. */
    async nothingLeft(): Promise<void> {
      assert.deepEqual(await containers(deploymentFilter(deployment.dataDirectory)), []);
      const children = below(deployment.product.pid).filter(({ line }) => !line.includes('redis-server'));
      assert.deepEqual(children, []);
      assert.deepEqual(runDirectories(deployment.product.pid), []);
      const changes = path.join(deployment.dataDirectory, 'changes');
      assert.deepEqual(existsSync(changes) ? readdirSync(changes).filter((name) => !held.has(name)) : [], []);
      const state = await forge.state();
      assert.deepEqual(tasksTokens(state.tokens.filter((token) => token.state === 'live')), []);
    },
  };
}

/** Tokens for git: the product's own for GitHub's API live until they expire or it ends. */
const tasksTokens = (tokens: ForgeState['tokens']) =>
  tokens.filter(({ permissions }) => Object.keys(permissions).every((name) => name === 'contents' || name === 'metadata'));

export function issueAt(state: ForgeState, { repository, number }: Place): Issue {
  const found = state.issues.find((issue) => issue.repository === repository && issue.number === number);
  assert.ok(found, `${repository}#${number}`);
  return found;
}

export const pullsOf = (state: ForgeState, { repository }: Pick<Place, 'repository'>): Issue[] =>
  state.issues.filter((issue) => issue.repository === repository && issue.pull !== null);

const Listed = z.array(z.looseObject({ task: Task }));
const Containers = z.array(z.looseObject({ Id: z.string() }));

/** Ids of all containers with a label. */
export async function containers(label: string): Promise<string[]> {
  const docker = new Docker({ socketPath: '/var/run/docker.sock' });
  const listed = await docker.listContainers({ all: true, filters: { label: [label] } });
  return Containers.parse(listed).map(({ Id }) => Id);
}

export interface Process {
  readonly pid: number;
  readonly line: string;
}

/** All descendants of a process, zombies aside. */
export function below(pid: number): Process[] {
  const known = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = read(`/proc/${name}/stat`);
      // The program's name, field 2, may hold spaces and parentheses: fields count from its last one.
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return parent === undefined || state === 'Z' ? [] : [{ pid: Number(name), parent: Number(parent) }];
    });
  const found: number[] = [pid];
  for (const one of found) found.push(...known.filter(({ parent }) => parent === one).map((child) => child.pid));
  return found.slice(1).map((child) => ({ pid: child, line: read(`/proc/${child}/cmdline`).replaceAll('\0', ' ').trim() }));
}

/** Directories of the runs of a host process. */
export function runDirectories(pid: number): string[] {
  const roots = readdirSync(tmpdir()).filter((name) => name.startsWith(`coatcheck-host-${pid}-`));
  return roots.flatMap((root) => readdirSync(path.join(tmpdir(), root)));
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
