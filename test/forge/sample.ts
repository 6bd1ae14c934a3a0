/** One app on one private repository, as most tests of the forge want it. */
import type { TestContext } from 'node:test';
import { asToken, mint, type Scope, type Target } from '../contract/target.ts';
import { type Forge, type ForgeOptions, startForge } from './forge.ts';

export interface Sample {
  readonly forge: Forge;
  readonly target: Target;
  readonly where: { readonly owner: string; readonly repo: string };
  readonly mint: (scope?: Scope) => ReturnType<typeof mint>;
}

export interface SampleOptions extends ForgeOptions {
  readonly webhookUrl?: string;
  readonly permissions?: Record<string, 'read' | 'write'>;
  readonly drafts?: boolean;
}

export async function sample(t: TestContext, options: SampleOptions = {}): Promise<Sample> {
  const { webhookUrl = null, permissions, drafts = true, ...forgeOptions } = options;
  const forge = await startForge(forgeOptions);
  t.after(() => forge.close());
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

export { asToken };
