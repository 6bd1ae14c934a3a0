/**
 * The forge for tests and the quickstart: starts it as a child process and speaks to its control API.
 *
 *   await using forge = await startForge();
 *   const app = await forge.createApp({ slug: 'coatcheck', webhookUrl, webhookSecret, permissions, events });
 *   await forge.createRepository({ owner: 'octo', name: 'sample', files: { 'a.txt': 'a' }, collaborators: { ada: 'write' } });
 *   const { installationId } = await forge.install({ app: app.slug, owner: 'octo', repositories: ['sample'] });
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import type { Input, Verb } from './control.ts';
import { ForgeState } from './snapshot.ts';

export { type MisbehaviourRule, secondaryLimit } from './misbehave.ts';
export { ForgeState } from './snapshot.ts';

const READY_WITHIN_MS = 20_000;
const DEFAULT_WAIT_MS = 30_000;

export interface ForgeOptions {
  /** 0: any free one. */
  readonly port?: number;
  /** Where the repositories are kept; a temporary folder, removed at the end, by default. */
  readonly directory?: string;
  readonly tokenForm?: 'short' | 'long';
}

const Ready = z.object({ url: z.string() });
const NewApp = z.object({
  appId: z.int(),
  slug: z.string(),
  clientId: z.string(),
  /** PEM. */
  privateKey: z.string(),
  botUser: z.object({ id: z.int(), login: z.string() }),
});
const NewUser = z.object({
  id: z.int(),
  login: z.string(),
  /** A personal token, for git and REST. */ token: z.string().nullable(),
});
const Nothing = z.unknown().transform(() => undefined);

export class Forge implements AsyncDisposable {
  readonly url: string;
  readonly #end: () => Promise<void>;

  /** `end` ends the server and whatever it keeps; it may be called more than once. */
  constructor(url: string, end: () => Promise<void>) {
    this.url = url;
    this.#end = end;
  }

  /** The base URL for Octokit, as of an Enterprise Server. */
  get api(): string {
    return `${this.url}/api/v3`;
  }

  async #call<V extends Verb, T>(verb: V, input: Input<V>, answer: z.ZodType<T>): Promise<T> {
    const response = await fetch(`${this.url}/_forge/${verb}`, { method: 'POST', body: JSON.stringify(input) });
    const body: unknown = await response.json();
    if (!response.ok) throw new Error(`forge ${verb}: ${JSON.stringify(body)}`);
    return answer.parse(body);
  }

  createApp = (input: Input<'createApp'>) => this.#call('createApp', input, NewApp);
  createUser = (login: string) => this.#call('createUser', { login }, NewUser);
  createRepository = (input: Input<'createRepository'>) =>
    this.#call('createRepository', input, z.object({ id: z.int(), head: z.string().nullable() }));
  /** A null role takes the collaborator away. */
  setCollaborator = (input: Input<'setCollaborator'>) => this.#call('setCollaborator', input, Nothing);
  /** `repositories`: names; left out, the installation covers all of the owner's. */
  install = (input: Input<'install'>) => this.#call('install', input, z.object({ installationId: z.int() }));
  createIssue = (input: Input<'createIssue'>) => this.#call('createIssue', input, z.object({ number: z.int(), id: z.int() }));
  editIssue = (input: Input<'editIssue'>) => this.#call('editIssue', input, Nothing);
  closeIssue = (input: Input<'closeIssue'>) => this.#call('closeIssue', input, Nothing);
  labelIssue = (input: Input<'labelIssue'>) => this.#call('labelIssue', input, Nothing);
  unlabelIssue = (input: Input<'unlabelIssue'>) => this.#call('unlabelIssue', input, Nothing);
  /** As on GitHub, those who cannot be assigned are passed over without a word. */
  assignIssue = (input: Input<'assignIssue'>) => this.#call('assignIssue', input, z.object({ assignees: z.array(z.string()) }));
  comment = (input: Input<'comment'>) => this.#call('comment', input, z.object({ id: z.int() }));
  editComment = (input: Input<'editComment'>) => this.#call('editComment', input, Nothing);
  /** A commit by a user, straight into the repository, with the events of a push. */
  pushCommit = (input: Input<'pushCommit'>) => this.#call('pushCommit', input, z.object({ sha: z.string() }));
  rerequestCheck = (input: Input<'rerequestCheck'>) => this.#call('rerequestCheck', input, Nothing);
  redeliver = (guid: string) => this.#call('redeliver', { guid }, Nothing);
  misbehave = (rule: Input<'misbehave'>) => this.#call('misbehave', rule, z.object({ id: z.int() }));
  /** Ends a misbehaviour and lets go what it holds. */
  release = (id: number) => this.#call('release', { id }, Nothing);
  advanceClock = (ms: number) => this.#call('advanceClock', { ms }, Nothing);

  /** Everything the forge knows; with `after`, once its version is above that, or after 25 seconds. */
  async state(after = -1): Promise<ForgeState> {
    const response = await fetch(`${this.url}/_forge/state?after=${after}`);
    return ForgeState.parse(await response.json());
  }

  /**
   * The first state for which the predicate holds; woken by each change, without polling.
   * @throws Error naming `what` when it does not come within `timeoutMs`
   */
  async waitFor(
    predicate: (state: ForgeState) => boolean,
    timeoutMs = DEFAULT_WAIT_MS,
    what = predicate.toString(),
  ): Promise<ForgeState> {
    const signal = AbortSignal.timeout(timeoutMs);
    let version = -1;
    for (;;) {
      try {
        const response = await fetch(`${this.url}/_forge/state?after=${version}`, { signal });
        const state = ForgeState.parse(await response.json());
        if (predicate(state)) return state;
        version = state.version;
      } catch (thrown) {
        if (signal.aborted) throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause: thrown });
        throw thrown;
      }
    }
  }

  /** Ends the process and removes its temporary folder. Idempotent. */
  close(): Promise<void> {
    return this.#end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Starts a forge; it ends with this process at the latest. @throws Error when it does not get ready */
export async function startForge(options: ForgeOptions = {}): Promise<Forge> {
  const directory = options.directory ?? (await mkdtemp(path.join(tmpdir(), 'forge-')));
  const temporary = options.directory === undefined;
  const main = path.join(import.meta.dirname, 'main.ts');
  const flags = ['--port', String(options.port ?? 0), '--directory', directory, '--token-form', options.tokenForm ?? 'short'];
  const child = spawn(process.execPath, [main, ...flags, '--end-with-stdin', ...(temporary ? ['--temporary'] : [])], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    return new Forge(await readyUrl(child), () => end(child));
  } catch (thrown) {
    child.kill('SIGKILL');
    if (temporary) await rm(directory, { recursive: true, force: true });
    throw thrown;
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await gone;
}

function readyUrl(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const { stdout } = child;
    if (!stdout) return reject(new Error('the forge has no stdout'));
    const timer = setTimeout(() => reject(new Error(`the forge was not ready within ${READY_WITHIN_MS} ms`)), READY_WITHIN_MS);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the forge ended with ${code} before it was ready`)));
    createInterface({ input: stdout }).once('line', (line) => {
      clearTimeout(timer);
      try {
        resolve(Ready.parse(JSON.parse(line)).url);
      } catch (thrown) {
        reject(thrown);
      }
    });
  });
}
