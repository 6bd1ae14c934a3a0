/** One app on one private repository, on a forge in the test's own process. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { mint, type Scope, type Target } from '../contract/target.ts';
import { Forge } from './forge.ts';
import { serve } from './server.ts';

export interface Sample {
  readonly forge: Forge;
  readonly target: Target;
  readonly where: { readonly owner: string; readonly repo: string };
  readonly mint: (scope?: Scope) => ReturnType<typeof mint>;
}

export interface SampleOptions {
  readonly tokenForm?: 'short' | 'long';
  readonly webhookUrl?: string;
  readonly permissions?: Record<string, 'read' | 'write'>;
  readonly drafts?: boolean;
}

export async function forgeInProcess(t: TestContext, tokenForm: 'short' | 'long' = 'short'): Promise<Forge> {
  const directory = await mkdtemp(path.join(tmpdir(), 'forge-'));
  const server = await serve({ port: 0, directory, tokenForm });
  const forge = new Forge(server.url, server.close);
  t.after(async () => {
    await forge.close();
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  });
  return forge;
}

export async function sample(t: TestContext, options: SampleOptions = {}): Promise<Sample> {
  const { webhookUrl = null, permissions, drafts = true, tokenForm = 'short' } = options;
  const forge = await forgeInProcess(t, tokenForm);
  const app = await forge.createApp({
    slug: 'coatcheck',
    webhookUrl,
    webhookSecret: 'a secret',
    permissions: permissions ?? { contents: 'write', issues: 'write', pull_requests: 'write', checks: 'write' },
    events: ['issues', 'issue_comment', 'push', 'pull_request', 'check_run'],
  });
  const files = { 'README.md': '# Sample\n', 'src/a.txt': 'one\n' };
  await forge.createRepository({ owner: 'octo', name: 'sample', files, collaborators: { ada: 'write' }, drafts });
  await forge.install({ app: app.slug, owner: 'octo', repositories: ['sample'] });
  const repository = { owner: 'octo', name: 'sample' };
  const target: Target = {
    api: forge.api,
    web: forge.url,
    app: { id: app.appId, privateKey: app.privateKey },
    repository,
    second: null,
    outside: { owner: 'octo', name: 'outside' },
    close: async () => {},
  };
  return { forge, target, where: { owner: 'octo', repo: 'sample' }, mint: (scope) => mint(target, scope) };
}
