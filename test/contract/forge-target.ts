/** The forge as the target. It closes only cleanly: whatever it could not answer as GitHub would fails the suite. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { startForge } from '../forge/forge.ts';
import type { Target } from './target.ts';

/** Somebody who takes every delivery. */
async function receiver(): Promise<{ url: string; close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(202).end('taken'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address && typeof address === 'object');
  return {
    url: `http://127.0.0.1:${address.port}/hook`,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

export async function openForge(): Promise<Target> {
  const hook = await receiver();
  const forge = await startForge();
  const app = await forge.createApp({
    slug: 'coatcheck-contract',
    webhookUrl: hook.url,
    webhookSecret: 'only for this test',
    permissions: { contents: 'write', issues: 'write', pull_requests: 'write', checks: 'write' },
    events: ['issues', 'issue_comment', 'pull_request', 'push', 'check_run'],
  });
  for (const name of ['sample', 'second', 'outside']) {
    await forge.createRepository({ owner: 'octo', name, files: { 'README.md': '# sample\n', 'src/a.js': 'let a;\n' } });
  }
  await forge.install({ app: app.slug, owner: 'octo', repositories: ['sample', 'second'] });
  return {
    api: forge.api,
    web: forge.url,
    app: { id: app.appId, privateKey: app.privateKey },
    repository: { owner: 'octo', name: 'sample' },
    second: { owner: 'octo', name: 'second' },
    outside: { owner: 'octo', name: 'outside' },
    close: async () => {
      const { offences, unsupported } = await forge.state();
      await forge.close();
      await hook.close();
      assert.deepEqual(offences, []);
      assert.deepEqual(unsupported, []);
    },
  };
}
