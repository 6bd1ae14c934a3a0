/** What tests and the quickstart may do to the forge: people at work, apps being made, trouble being asked for. */
import { createPublicKey, generateKeyPair, randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { Context } from './call.ts';
import { announceCheck } from './checks.ts';
import { ping } from './deliveries.ts';
import type { Account, App, Issue, Repository } from './entities.ts';
import { commitFiles, git, refsOf } from './git-store.ts';
import { addComment, addLabel, assign, closeIssue, editComment, editIssue, openIssue, removeLabel } from './issues.ts';
import { type Misbehaviour, MisbehaviourRule } from './misbehave.ts';
import { resolveRef } from './pulls.ts';
import { refsChanged } from './pushes.ts';
import { installationShape } from './represent.ts';
import type { NewApp, World } from './world.ts';

const RSA_BITS = 2048;
const FIRST_HOOK_ID = 400_000_000;

export interface ControlContext extends Context {
  readonly misbehaviour: Misbehaviour;
}

/** A request that the forge's own user got wrong. */
export class ControlFailure extends Error {}

const FileContent = z.union([
  z.string(),
  z.strictObject({ base64: z.string(), executable: z.boolean().default(false) }),
  z.strictObject({ symlink: z.string() }),
]);
const Files = z.record(z.string(), FileContent.nullable());
const Where = { repository: z.string(), number: z.int(), as: z.string() };
const Role = z.enum(['read', 'triage', 'write', 'maintain', 'admin']);

export const Inputs = {
  createApp: z.strictObject({
    slug: z.string(),
    owner: z.string().default('forge-owner'),
    webhookUrl: z.string().nullable().default(null),
    webhookSecret: z.string(),
    permissions: z.record(z.string(), z.enum(['read', 'write', 'admin'])),
    events: z.array(z.string()),
  }),
  createUser: z.strictObject({ login: z.string(), organization: z.boolean().default(false) }),
  createRepository: z.strictObject({
    owner: z.string(),
    name: z.string(),
    private: z.boolean().default(true),
    defaultBranch: z.string().default('main'),
    files: Files.default({}),
    /** A local repository whose HEAD becomes the default branch. */
    fromPath: z.string().optional(),
    collaborators: z.record(z.string(), Role).default({}),
    drafts: z.boolean().default(true),
  }),
  setCollaborator: z.strictObject({ repository: z.string(), login: z.string(), role: Role.nullable() }),
  install: z.strictObject({ app: z.string(), owner: z.string(), repositories: z.array(z.string()).nullable().default(null) }),
  createIssue: z.strictObject({
    repository: z.string(),
    title: z.string(),
    body: z.string().nullable().default(null),
    as: z.string(),
  }),
  editIssue: z.strictObject({ ...Where, title: z.string().optional(), body: z.string().optional() }),
  closeIssue: z.strictObject(Where),
  labelIssue: z.strictObject({ ...Where, label: z.string() }),
  unlabelIssue: z.strictObject({ ...Where, label: z.string() }),
  assignIssue: z.strictObject({ ...Where, assignees: z.array(z.string()) }),
  comment: z.strictObject({ ...Where, body: z.string() }),
  editComment: z.strictObject({ id: z.int(), as: z.string(), body: z.string() }),
  pushCommit: z.strictObject({ repository: z.string(), branch: z.string(), files: Files, message: z.string(), as: z.string() }),
  rerequestCheck: z.strictObject({ id: z.int(), as: z.string() }),
  redeliver: z.strictObject({ guid: z.string() }),
  misbehave: MisbehaviourRule,
  release: z.strictObject({ id: z.int() }),
  advanceClock: z.strictObject({ ms: z.int().nonnegative() }),
} as const;
export type Verb = keyof typeof Inputs;
export type Input<V extends Verb> = z.input<(typeof Inputs)[V]>;
type Given<V extends Verb> = z.output<(typeof Inputs)[V]>;

const generate = promisify(generateKeyPair);

function person(world: World, login: string): Account {
  const account = world.account(login);
  if (!account) throw new ControlFailure(`no account ${login}`);
  return account;
}

function repositoryNamed(world: World, fullName: string): Repository {
  const [owner = '', name = ''] = fullName.split('/');
  const repository = world.repository(owner, name);
  if (!repository) throw new ControlFailure(`no repository ${fullName}`);
  return repository;
}

function issueAt(world: World, at: { repository: string; number: number }): Issue {
  const issue = world.issue(repositoryNamed(world, at.repository), at.number);
  if (!issue) throw new ControlFailure(`no issue ${at.repository}#${at.number}`);
  return issue;
}

export function makeAccount(world: World, login: string, type: Account['type']): Account {
  const known = world.account(login);
  if (known) return known;
  const account = { id: world.id(), login, type, token: type === 'User' ? `ghp_${randomBytes(18).toString('hex')}` : null };
  world.accounts.push(account);
  world.touch();
  return account;
}

/** A new app with its bot and its private key in the form GitHub hands out (PKCS#1). */
export async function makeApp(world: World, given: Given<'createApp'>): Promise<NewApp> {
  const { privateKey } = await generate('rsa', {
    modulusLength: RSA_BITS,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  const app: App = {
    id: world.id(),
    slug: given.slug,
    clientId: `Iv23li${randomBytes(7).toString('hex')}`,
    owner: makeAccount(world, given.owner, 'User'),
    bot: makeAccount(world, `${given.slug}[bot]`, 'Bot'),
    hookId: FIRST_HOOK_ID + world.id(),
    webhookUrl: given.webhookUrl,
    webhookSecret: given.webhookSecret,
    publicKey: createPublicKey(privateKey),
    permissions: given.permissions,
    events: given.events,
    createdAt: world.timestamp(),
  };
  world.apps.push(app);
  world.touch();
  return { app, privateKey, clientSecret: randomBytes(20).toString('hex') };
}

async function createApp(context: ControlContext, given: Given<'createApp'>) {
  const { app, privateKey } = await makeApp(context.world, given);
  if (app.webhookUrl !== null) context.deliveries.emit(ping(context.world, app));
  return { appId: app.id, slug: app.slug, clientId: app.clientId, privateKey, botUser: { id: app.bot.id, login: app.bot.login } };
}

async function createRepository({ world }: ControlContext, given: Given<'createRepository'>) {
  const owner = makeAccount(world, given.owner, 'User');
  if (world.repository(given.owner, given.name)) throw new ControlFailure(`${given.owner}/${given.name} is there already`);
  const id = world.id();
  const directory = path.join(world.directory, 'repositories', `${id}.git`);
  await mkdir(directory, { recursive: true });
  await git(world.directory, directory, ['init', '--quiet', '--bare', `--initial-branch=${given.defaultBranch}`, '.']);
  const repository: Repository = {
    id,
    owner,
    name: given.name,
    private: given.private,
    defaultBranch: given.defaultBranch,
    directory,
    collaborators: new Map(Object.entries(given.collaborators).map(([login, role]) => [login.toLowerCase(), role])),
    drafts: given.drafts,
    createdAt: world.timestamp(),
    nextNumber: 1,
  };
  for (const login of Object.keys(given.collaborators)) makeAccount(world, login, 'User');
  if (given.fromPath !== undefined) {
    const refspec = `HEAD:refs/heads/${given.defaultBranch}`;
    await git(world.directory, directory, ['fetch', '--quiet', '--no-tags', '--', path.resolve(given.fromPath), refspec]);
  }
  if (Object.keys(given.files).length > 0) await commitTo(world, repository, given.defaultBranch, given.files, 'Begin', owner);
  world.repositories.push(repository);
  world.touch();
  return { id, head: await resolveRef(world, directory, `refs/heads/${given.defaultBranch}`) };
}

async function commitTo(
  world: World,
  repository: Repository,
  branch: string,
  files: z.output<typeof Files>,
  message: string,
  by: Account,
) {
  const at = await resolveRef(world, repository.directory, `refs/heads/${branch}`);
  const parent = at ?? (await resolveRef(world, repository.directory, `refs/heads/${repository.defaultBranch}`));
  const author = { name: by.login, email: `${by.id}+${by.login}@users.noreply.forge.test`, at: world.now() };
  return commitFiles(world.directory, repository.directory, { branch, message, author, files, parent });
}

function install({ world, deliveries }: ControlContext, given: Given<'install'>) {
  const app = world.apps.find((known) => known.slug === given.app);
  if (!app) throw new ControlFailure(`no app ${given.app}`);
  const account = person(world, given.owner);
  const chosen = given.repositories?.map((name) => repositoryNamed(world, name.includes('/') ? name : `${given.owner}/${name}`));
  const repositoryIds = chosen ? new Set(chosen.map((repository) => repository.id)) : null;
  const installation = {
    id: world.id(),
    app,
    account,
    permissions: app.permissions,
    repositoryIds,
    createdAt: world.timestamp(),
  };
  world.installations.push(installation);
  world.touch();
  const covered = world.repositories.filter((repository) => world.covers(installation, repository));
  deliveries.emit({
    event: 'installation',
    action: 'created',
    sender: account,
    repository: null,
    only: app,
    installationId: installation.id,
    payload: {
      installation: installationShape(world, installation),
      repositories: covered.map(({ id, name, private: hidden }) => ({
        id,
        node_id: `R_${id}`,
        name,
        full_name: `${account.login}/${name}`,
        private: hidden,
      })),
      requester: null,
    },
  });
  return { installationId: installation.id };
}

async function pushCommit(context: ControlContext, given: Given<'pushCommit'>) {
  const { world } = context;
  const repository = repositoryNamed(world, given.repository);
  const by = person(world, given.as);
  const before = await refsOf(world.directory, repository.directory);
  const sha = await commitTo(world, repository, given.branch, given.files, given.message, by);
  await refsChanged(context, repository, by, before);
  return { sha };
}

type Runs = { readonly [V in Verb]: (context: ControlContext, given: Given<V>) => unknown };

export const RUNS: Runs = {
  createApp,
  createUser: ({ world }, given) => {
    const { id, login, token } = makeAccount(world, given.login, given.organization ? 'Organization' : 'User');
    return { id, login, token };
  },
  createRepository,
  setCollaborator: ({ world }, { repository, login, role }) => {
    const { collaborators } = repositoryNamed(world, repository);
    if (role === null) collaborators.delete(login.toLowerCase());
    else collaborators.set(makeAccount(world, login, 'User').login.toLowerCase(), role);
  },
  install,
  createIssue: async (context, given) => {
    const author = { account: person(context.world, given.as), via: null };
    const issue = await openIssue(context, repositoryNamed(context.world, given.repository), author, given.title, given.body);
    return { number: issue.number, id: issue.id };
  },
  editIssue: ({ world, ...rest }, { title, body, ...at }) =>
    editIssue({ world, ...rest }, issueAt(world, at), person(world, at.as), {
      ...(title === undefined ? {} : { title }),
      ...(body === undefined ? {} : { body }),
    }),
  closeIssue: (context, at) => closeIssue(context, issueAt(context.world, at), person(context.world, at.as)),
  labelIssue: (context, at) => addLabel(context, issueAt(context.world, at), person(context.world, at.as), at.label),
  unlabelIssue: (context, at) => removeLabel(context, issueAt(context.world, at), person(context.world, at.as), at.label),
  assignIssue: async (context, at) => {
    const issue = issueAt(context.world, at);
    await assign(context, issue, person(context.world, at.as), at.assignees);
    return { assignees: issue.assignees.map((account) => account.login) };
  },
  comment: (context, at) => {
    const author = { account: person(context.world, at.as), via: null };
    return { id: addComment(context, issueAt(context.world, at), author, at.body).id };
  },
  editComment: (context, given) => {
    const comment = context.world.comments.find((known) => known.id === given.id);
    if (!comment) throw new ControlFailure(`no comment ${given.id}`);
    editComment(context, comment, person(context.world, given.as), given.body);
  },
  pushCommit,
  rerequestCheck: (context, given) => {
    const run = context.world.checkRuns.find((known) => known.id === given.id);
    if (!run) throw new ControlFailure(`no check run ${given.id}`);
    announceCheck(context, run, person(context.world, given.as), 'rerequested');
  },
  redeliver: ({ world, deliveries }, { guid }) => {
    const delivery = world.deliveries.find((known) => known.guid === guid);
    if (!delivery) throw new ControlFailure(`no delivery ${guid}`);
    deliveries.redeliver(delivery);
  },
  misbehave: ({ misbehaviour }, rule) => ({ id: misbehaviour.add(rule) }),
  release: ({ misbehaviour }, { id }) => misbehaviour.release(id),
  advanceClock: ({ world }, { ms }) => world.advanceClock(ms),
};

export const isVerb = (name: string): name is Verb => Object.hasOwn(Inputs, name);

/** Runs one verb on unchecked input. @throws ControlFailure, or zod's error for input of another shape */
export async function runVerb(context: ControlContext, verb: Verb, input: unknown): Promise<unknown> {
  const run: (context: ControlContext, given: never) => unknown = RUNS[verb];
  return (await run(context, Inputs[verb].parse(input) as never)) ?? null;
}

/** Removes the bare repositories. */
export async function removeRepositories(world: World): Promise<void> {
  await rm(path.join(world.directory, 'repositories'), { recursive: true, force: true });
}
