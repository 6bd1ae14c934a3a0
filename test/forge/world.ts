/** Everything the forge knows, in memory; changes wake whoever waits for them. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type {
  Account,
  Actor,
  App,
  CheckRun,
  Comment,
  Delivery,
  Installation,
  InstallationToken,
  Issue,
  Label,
  LoggedRequest,
  Reaction,
  Repository,
} from './entities.ts';

export interface Offence {
  readonly at: string;
  readonly operation: string;
  readonly message: string;
}

/** A new app with what is shown only once. */
export interface NewApp {
  readonly app: App;
  readonly privateKey: string;
  readonly clientSecret: string;
}

export class World {
  readonly accounts: Account[] = [];
  readonly apps: App[] = [];
  readonly installations: Installation[] = [];
  readonly tokens: InstallationToken[] = [];
  readonly repositories: Repository[] = [];
  readonly labels = new Map<string, Label>();
  readonly issues: Issue[] = [];
  readonly comments: Comment[] = [];
  readonly reactions: Reaction[] = [];
  readonly checkRuns: CheckRun[] = [];
  readonly deliveries: Delivery[] = [];
  readonly requests: LoggedRequest[] = [];
  /** Answers and payloads of the forge itself that do not fit GitHub's description. */
  readonly offences: Offence[] = [];
  readonly directory: string;
  /** Apps made by the manifest flow, by the code that fetches them once. */
  readonly manifests = new Map<string, NewApp>();
  readonly tokenForm: 'short' | 'long';
  /** The life of the next installation token where it was told to be other than an hour. */
  tokenLifeMs: () => number | null = () => null;
  /** `http://127.0.0.1:PORT`, without a slash at the end; set once listening. */
  url = '';
  #version = 0;
  #lastId = 1_000_000 + (randomBytes(3).readUIntBE(0, 3) % 900_000);
  #clockOffsetMs = 0;
  readonly #waiting = new Set<() => void>();

  constructor(directory: string, tokenForm: 'short' | 'long' = 'short') {
    this.directory = directory;
    this.tokenForm = tokenForm;
    mkdirSync(path.join(directory, 'repositories'), { recursive: true });
  }

  get version(): number {
    return this.#version;
  }

  get api(): string {
    return `${this.url}/api/v3`;
  }

  id(): number {
    this.#lastId += 1 + ((randomBytes(1)[0] ?? 0) % 7);
    return this.#lastId;
  }

  now(): number {
    return Date.now() + this.#clockOffsetMs;
  }

  /** The time as GitHub writes it: UTC, whole seconds. */
  timestamp(ms = this.now()): string {
    return `${new Date(ms).toISOString().slice(0, 19)}Z`;
  }

  /** Moves the forge's clock forward, so that tokens expire without anybody waiting. */
  advanceClock(ms: number): void {
    this.#clockOffsetMs += ms;
    this.touch();
  }

  /** Says that something changed. */
  touch(): void {
    this.#version += 1;
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** Resolves once the version is above `version`, or after `timeoutMs`. */
  changed(version: number, timeoutMs: number): Promise<void> {
    if (this.#version > version) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, timeoutMs);
      timer.unref();
      this.#waiting.add(wake);
    });
  }

  account(login: string): Account | undefined {
    return this.accounts.find((account) => account.login.toLowerCase() === login.toLowerCase());
  }

  repository(owner: string, name: string): Repository | undefined {
    const wanted = `${owner}/${name}`.toLowerCase();
    return this.repositories.find((repository) => `${repository.owner.login}/${repository.name}`.toLowerCase() === wanted);
  }

  issue(repository: Repository, number: number): Issue | undefined {
    return this.issues.find((issue) => issue.repository === repository && issue.number === number);
  }

  /** Labels are one per name here; on GitHub they are one per repository and name. */
  label(name: string): Label {
    const known = this.labels.get(name.toLowerCase());
    if (known) return known;
    const label = { id: this.id(), name };
    this.labels.set(name.toLowerCase(), label);
    return label;
  }

  /** Who did it, as an account: an installation acts as its app's bot. */
  accountOf(actor: Actor): Account | null {
    if (actor.kind === 'user') return actor.account;
    if (actor.kind === 'installation') return actor.token.installation.app.bot;
    return null;
  }

  appOf(actor: Actor): App | null {
    if (actor.kind === 'app') return actor.app;
    return actor.kind === 'installation' ? actor.token.installation.app : null;
  }

  /** Whether an installation covers a repository. */
  covers(installation: Installation, repository: Repository): boolean {
    if (installation.account !== repository.owner) return false;
    return installation.repositoryIds === null || installation.repositoryIds.has(repository.id);
  }
}

export function nodeId(kind: string, id: number): string {
  return `${kind}_${createHash('sha256').update(`${kind}:${id}`).digest('base64url').slice(0, 12)}${Buffer.from(String(id)).toString('base64url')}`;
}

/** How the log names an actor. */
export function nameOfActor(actor: Actor): string {
  if (actor.kind === 'user') return `user ${actor.account.login}`;
  if (actor.kind === 'app') return `app ${actor.app.slug}`;
  if (actor.kind === 'installation') return `token ${actor.token.id}`;
  return 'anonymous';
}
