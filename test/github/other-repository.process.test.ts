import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type CredentialNote, connectGitHub, type GitHub } from '../../src/github/github.ts';
import { type Forge, startForge } from '../forge/forge.ts';
import { silent } from './local-github.ts';

let forge: Forge;
const notes: CredentialNote[] = [];
const made: GitHub[] = [];

/** The App with these permissions, installed on two of octo's repositories. */
async function connected(slug: string, permissions: Record<string, 'read' | 'write'>) {
  const app = await forge.createApp({
    slug,
    webhookUrl: 'http://127.0.0.1:1/',
    webhookSecret: 's'.repeat(20),
    permissions,
    events: [],
  });
  const { installationId } = await forge.install({ app: slug, owner: 'octo', repositories: ['sample', '.github'] });
  const github = connectGitHub({
    appId: app.appId,
    privateKey: app.privateKey,
    baseUrl: forge.api,
    log: silent,
    onCredential: (note) => notes.push(note),
  });
  made.push(github);
  return { github, installationId };
}

before(async () => {
  forge = await startForge();
  for (const login of ['octo', 'other']) await forge.createUser(login);
  const repository = { owner: 'octo', files: { 'a.txt': 'a\n' }, collaborators: {} };
  for (const name of ['sample', 'hidden']) await forge.createRepository({ ...repository, name });
  await forge.createRepository({ ...repository, name: '.github', files: { '.github/coatcheck.yml': 'egress: []\n' } });
});
after(async () => {
  for (const github of made) await github.close();
  await forge?.close();
});

test('a repository is opened by its name, with a token to read it alone', async () => {
  const { github, installationId } = await connected('reader', { contents: 'write', metadata: 'read', issues: 'write' });
  const opened = await github.openRepository(installationId, { owner: 'Octo', name: '.github' });
  assert.ok(opened);
  const base = await opened.base();
  const entry = await opened.findEntry(base.sha, '.github/coatcheck.yml');
  assert.equal((await opened.readBlob(entry?.sha ?? '', 100)).toString(), 'egress: []\n');
  assert.equal(await opened.findEntry(base.sha, 'a.txt'), null);
  const live = (await forge.state()).tokens.filter(({ state }) => state === 'live');
  assert.deepEqual(
    live.map(({ repositories, permissions }) => [repositories, permissions]),
    [[['octo/.github'], { contents: 'read', metadata: 'read' }]],
  );
  assert.equal(await github.revokeToken(opened.token.token), true);
  const scope = { repositoryId: opened.repository.id, permissions: { contents: 'read', metadata: 'read' } };
  assert.ok(
    notes.some(
      (note) => note.what === 'minted' && note.id === opened.token.id && assert.deepEqual(note.scope, scope) === undefined,
    ),
  );
});

test('what the installation does not cover is not there, and nothing is left of the question', async () => {
  const { github, installationId } = await connected('asker', { contents: 'read', metadata: 'read' });
  assert.equal(await github.openRepository(installationId, { owner: 'octo', name: 'hidden' }), null);
  assert.equal(await github.openRepository(installationId, { owner: 'octo', name: 'nothing' }), null);
  assert.equal(await github.openRepository(installationId, { owner: 'other', name: 'sample' }), null, 'the name is octo’s');
  assert.deepEqual(
    (await forge.state()).tokens.filter(({ state }) => state === 'live'),
    [],
  );
});

test('another refusal of GitHub’s is no answer about the repository', async () => {
  const { github, installationId } = await connected('blind', { metadata: 'read' });
  await assert.rejects(github.openRepository(installationId, { owner: 'octo', name: 'sample' }), { code: 'github_refused' });
});
