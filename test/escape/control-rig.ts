/** The control plane as it ships, with the test in the place of its hosts: what a host that was taken over can do. */
import { execFileSync } from 'node:child_process';
import { createHash, createHmac, randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { WEBHOOK_PATH } from '../../src/app.ts';
import { ClaimAnswer, type FinishRequest, GrantAnswer, HOST_API } from '../../src/task/protocol.ts';
import type { WorkOrder } from '../../src/task/work-order.ts';
import { ACCOUNTS, type IssueOptions, type Outcome, OWNER, type Running, startWay, type Way } from '../e2e/way.ts';
import { PERSON } from '../git/repositories.ts';
import type { Teardown } from './cases.ts';
import {
  bundleOf,
  type CommitText,
  commitOf,
  idOf,
  type PackedObject,
  packOf,
  sorted,
  type TreeEntry,
  treeOf,
} from './objects.ts';

const HOST_KEY = `host-key-${randomBytes(24).toString('hex')}`;
const LEASE_MS = 4000;
const BOUND_MS = 40_000;
/** The product paces what it writes per installation: more of them, so that cases do not wait for one another. */
const OWNERS = Array.from({ length: 24 }, (_, n) => `escape-${n + 1}`);

export type HostVerb = 'claim' | 'events' | 'grant' | 'change' | 'finish';
export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** An attempt that the test holds. */
export interface Held {
  readonly running: Running;
  readonly token: string;
  readonly work: WorkOrder;
}

/** What a host says that it did. */
export interface Handed {
  readonly bundle: Buffer;
  readonly tree: string;
}

export type ControlTarget = Awaited<ReturnType<typeof openControl>>;

export async function openControl(t: Teardown) {
  const directory = await mkdtemp(path.join(tmpdir(), 'coatcheck-escape-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const way: Way = await startWay({
    script: [],
    mode: 'control',
    policy: { installations: [...ACCOUNTS, ...OWNERS] },
    environment: { COATCHECK_HOST_KEY: HOST_KEY, COATCHECK_LEASE_MS: String(LEASE_MS), COATCHECK_LOG_LEVEL: 'trace' },
  });
  t.after(() => way.close());
  const { forge, deployment } = way;
  for (const owner of OWNERS) {
    await forge.createUser(owner);
    await forge.install({ app: deployment.app.slug, owner });
  }
  let owners = 0;
  const nextOwner = (): string => OWNERS[owners++ % OWNERS.length] ?? OWNER;
  const alive = new Map<string, string>();
  const beating = setInterval(() => {
    for (const token of alive.values()) void call('events', token, { events: [] }).catch(() => {});
  }, LEASE_MS / 4);
  t.after(() => clearInterval(beating));

  async function call(verb: HostVerb, bearer: string, body: unknown): Promise<Answer> {
    const response = await fetch(`${way.url}${HOST_API}/${verb}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
      body: Buffer.isBuffer(body) ? new Uint8Array(body) : JSON.stringify(body),
    });
    return { status: response.status, text: await response.text() };
  }

  const claim = (task: string, attempt = 1, key = HOST_KEY, host = 'host-a') =>
    call('claim', key, { task, attempt, host: { id: host, runtimes: [{ name: 'runsc', version: 'x' }], coatcheck: 'x' } });

  /** Claims an attempt once it waits for a host. */
  async function claimed(running: Running, attempt = 1): Promise<Held> {
    for (const until = performance.now() + BOUND_MS; ; ) {
      const answer = ClaimAnswer.parse(JSON.parse((await claim(running.task, attempt)).text));
      if (answer.claim === 'granted') {
        alive.set(running.task, answer.token);
        return { running, token: answer.token, work: answer.work };
      }
      if (performance.now() > until) throw new Error(`attempt ${attempt} of ${running.task}: ${answer.why}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  const repositoryOf = ({ work }: Held): string =>
    path.join(path.dirname(deployment.dataDirectory), 'forge/repositories', `${work.repository.id}.git`);
  const git = (held: Held, ...args: string[]): string =>
    execFileSync('git', [`--git-dir=${repositoryOf(held)}`, ...args], { env: PERSON, encoding: 'utf8' }).trim();

  /** A change that adds these files to the root of the base. */
  function change(held: Held, files: Readonly<Record<string, string>>, commit: Partial<CommitText> = {}): Handed {
    const base = held.work.base.sha;
    const blobs = Object.values(files).map((text): PackedObject => ({ type: 'blob', data: Buffer.from(text) }));
    const there = git(held, 'ls-tree', base)
      .split('\n')
      .map((line) => line.split(/[ \t]/))
      .map(([mode = '', , id = '', name = '']): TreeEntry => [mode.replace(/^0/, ''), name, id])
      .filter(([, name]) => !(String(name) in files));
    const own = Object.entries(files).map(([name, text]): TreeEntry => ['100644', name, idOf('blob', Buffer.from(text))]);
    const data = treeOf(sorted([...there, ...own]));
    const tree = idOf('tree', data);
    const text = commitOf({ tree, parent: base, ...commit });
    const pack = packOf([{ type: 'commit', data: text }, { type: 'tree', data }, ...blobs]);
    return { bundle: bundleOf(base, idOf('commit', text), pack), tree };
  }

  /** The words with which a host hands a verified change over. */
  const finishing = ({ bundle, tree }: Handed, title = 'Change'): FinishRequest => ({
    cleanup: { looked: [] },
    plan: null,
    outcome: {
      outcome: 'change',
      sha256: createHash('sha256').update(bundle).digest('hex'),
      head: tree,
      summary: { title, body: '' },
      verification: { tree, verdict: { kind: 'passed' }, results: [], redOnBase: [], yardstickEdits: [] },
    },
  });

  return {
    way,
    forge,
    deployment,
    hostKey: HOST_KEY,
    leaseMs: LEASE_MS,
    call,
    claim,
    claimed,
    git,
    change,
    finishing,

    /** Lets an attempt go without a word, as a host that died. */
    forget: ({ running }: Held): void => void alive.delete(running.task),

    /** An issue on a small repository; nobody has asked for anything yet. */
    async openIssue(title: string, options: Partial<IssueOptions> = {}) {
      const owner = nextOwner();
      const repository = { owner, ...options.repository };
      return { owner, ...(await way.openIssue({ files: { 'a.txt': 'a\n' }, title, ...options, repository })) };
    },

    /** An issue on a small repository, handed in. */
    begin: (title: string, options: Partial<IssueOptions> = {}): Promise<Running> =>
      way.begin({ files: { 'a.txt': 'a\n' }, title, ...options, repository: { owner: nextOwner(), ...options.repository } }),

    /** An issue on a small repository, claimed. */
    async hold(title: string, options: Partial<IssueOptions> = {}): Promise<Held> {
      const repository = { owner: nextOwner(), ...options.repository };
      return claimed(await way.begin({ files: { 'a.txt': 'a\n' }, title, ...options, repository }));
    },

    grant: async ({ token }: Held, request: object = { grant: 'repository_read' }) =>
      GrantAnswer.parse(JSON.parse((await call('grant', token, request)).text)),

    /** Hands a change over and waits for what becomes of it. */
    async handOver(held: Held, handed: Handed, title?: string): Promise<Outcome> {
      await call('change', held.token, handed.bundle);
      await call('finish', held.token, finishing(handed, title));
      alive.delete(held.running.task);
      return held.running.outcome;
    },

    /** Ends an attempt without a change. */
    async end(held: Held, reason = 'internal'): Promise<Outcome> {
      const outcome = { outcome: 'ended', reason, message: 'ended by the test' };
      await call('finish', held.token, { cleanup: { looked: [] }, plan: null, outcome });
      alive.delete(held.running.task);
      return held.running.outcome;
    },

    /** A delivery as GitHub sends it; `change` alters the request after it was signed. */
    async deliver(payload: object, options: { headers?: Record<string, string | null>; body?: string } = {}): Promise<number> {
      const signed = JSON.stringify(payload);
      const all: Record<string, string | null> = {
        'content-type': 'application/json',
        'x-github-event': 'issues',
        'x-github-delivery': randomUUID(),
        'x-hub-signature-256': `sha256=${createHmac('sha256', deployment.webhookSecret).update(signed).digest('hex')}`,
        ...options.headers,
      };
      const headers = Object.fromEntries(Object.entries(all).flatMap(([name, value]) => (value === null ? [] : [[name, value]])));
      const response = await fetch(`${way.url}${WEBHOOK_PATH}`, { method: 'POST', headers, body: options.body ?? signed });
      await response.text();
      return response.status;
    },
  };
}
