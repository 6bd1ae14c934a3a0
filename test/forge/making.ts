/** What a test sets up: accounts, apps, repositories, installations. */
import { createPublicKey, generateKeyPair, randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { ping } from './deliveries.ts';
import type { Account, App, Repository } from './entities.ts';
import { commitFiles, git } from './git-store.ts';
import { resolveRef } from './pulls.ts';
import { installationShape } from './represent.ts';
import { type ControlContext, ControlFailure, person, repositoryNamed, verb } from './verb.ts';
import type { NewApp, World } from './world.ts';

const RSA_BITS = 2048;
const FIRST_HOOK_ID = 400_000_000;

const FileContent = z.union([
  z.string(),
  z.strictObject({ base64: z.string(), executable: z.boolean().default(false) }),
  z.strictObject({ symlink: z.string() }),
]);
export const Files = z.record(z.string(), FileContent.nullable());
const Role = z.enum(['read', 'triage', 'write', 'maintain', 'admin']);

const AppRequest = z.strictObject({
  slug: z.string(),
  owner: z.string().default('forge-owner'),
  webhookUrl: z.string().nullable().default(null),
  webhookSecret: z.string(),
  permissions: z.record(z.string(), z.enum(['read', 'write', 'admin'])),
  events: z.array(z.string()),
});
const RepositoryRequest = z.strictObject({
  owner: z.string(),
  name: z.string(),
  private: z.boolean().default(true),
  defaultBranch: z.string().default('main'),
  files: Files.default({}),
  /** A local repository whose HEAD becomes the default branch. */
  fromPath: z.string().optional(),
  collaborators: z.record(z.string(), Role).default({}),
  drafts: z.boolean().default(true),
});
const InstallRequest = z.strictObject({
  app: z.string(),
  owner: z.string(),
  repositories: z.array(z.string()).nullable().default(null),
});

const generate = promisify(generateKeyPair);

export function makeAccount(world: World, login: string, type: Account['type']): Account {
  const known = world.account(login);
  if (known) return known;
  const account = { id: world.id(), login, type, token: type === 'User' ? `ghp_${randomBytes(18).toString('hex')}` : null };
  world.accounts.push(account);
  world.touch();
  return account;
}

/** A new app with its bot and its private key in the form GitHub hands out (PKCS#1). */
export async function makeApp(world: World, given: z.output<typeof AppRequest>): Promise<NewApp> {
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

async function createApp(context: ControlContext, given: z.output<typeof AppRequest>) {
  const { app, privateKey } = await makeApp(context.world, given);
  if (app.webhookUrl !== null) context.deliveries.emit(ping(context.world, app));
  return { appId: app.id, slug: app.slug, clientId: app.clientId, privateKey, botUser: { id: app.bot.id, login: app.bot.login } };
}

async function createRepository({ world }: ControlContext, given: z.output<typeof RepositoryRequest>) {
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

/** A commit on a branch, which begins at the default branch where it is new. */
export async function commitTo(
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

function install({ world, deliveries }: ControlContext, given: z.output<typeof InstallRequest>) {
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

export const making = {
  createApp: verb(AppRequest, createApp),
  createUser: verb(z.strictObject({ login: z.string(), organization: z.boolean().default(false) }), ({ world }, given) => {
    const { id, login, token } = makeAccount(world, given.login, given.organization ? 'Organization' : 'User');
    return { id, login, token };
  }),
  createRepository: verb(RepositoryRequest, createRepository),
  /** A null role takes the collaborator away. */
  setCollaborator: verb(
    z.strictObject({ repository: z.string(), login: z.string(), role: Role.nullable() }),
    ({ world }, { repository, login, role }) => {
      const { collaborators } = repositoryNamed(world, repository);
      if (role === null) collaborators.delete(login.toLowerCase());
      else collaborators.set(makeAccount(world, login, 'User').login.toLowerCase(), role);
    },
  ),
  install: verb(InstallRequest, install),
} as const;
