import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openMirror } from '../../src/git/mirror.ts';
import { openQuarantine } from '../../src/git/quarantine.ts';
import { DIRECT, remoteHead } from '../../src/git/remote.ts';
import { bareRepository, temporary } from '../git/repositories.ts';
import { serveGit } from '../git/serve-git.ts';

const signal = AbortSignal.timeout(120_000);

/** The command lines of all processes of this machine right now. */
function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      } catch {
        return ''; // it has ended
      }
    });
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile());
}

for (const [form, token] of [
  ['old', `ghs_${'aB3'.repeat(12)}`],
  ['new', `ghs_${Array.from({ length: 10 }, (_, i) => `${i}Zy`.repeat(17)).join('.')}`],
] as const) {
  test(`a token of the ${form} form is in no command line and no file while git fetches and looks`, async (t) => {
    const root = temporary(t);
    const upstream = bareRepository(root, 'acme/widget', { 'a.txt': 'one\n' });
    const server = await serveGit(root, token);
    t.after(() => server[Symbol.asyncDispose]());
    const remote = { url: server.url('acme/widget'), token, network: DIRECT };
    const seen: string[] = [];
    // Sampled while a request is open: git and its transport are alive then.
    server.misbehave = () => {
      seen.push(...commandLines());
      return 'answer';
    };
    const data = join(root, 'data');
    const mirror = await openMirror({ directory: data, repositoryId: 1 });
    await mirror.update({ remote, sha: upstream.sha, ref: 'main', byteLimit: 1 << 24, signal });
    await using _quarantine = await openQuarantine({
      directory: join(data, 'q'),
      remote,
      base: upstream.sha,
      byteLimit: 1 << 24,
      signal,
    });
    assert.equal(await remoteHead({ remote, ref: 'refs/heads/main', signal }), upstream.sha);
    const forms = [
      token,
      Buffer.from(`x-access-token:${token}`).toString('base64'),
      Buffer.from(token).toString('base64').slice(0, 40),
    ];
    assert.ok(
      seen.some((line) => line.includes(server.url('acme/widget'))),
      'the sampling saw git at work',
    );
    for (const form_ of forms) assert.ok(!seen.some((line) => line.includes(form_)));
    const files = filesBelow(data);
    assert.ok(files.length > 5);
    for (const file of files) for (const form_ of forms) assert.ok(!readFileSync(file, 'latin1').includes(form_), file);
  });
}
