import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '../..');

/** Starts a small TypeScript program through the launcher, as the npm scripts do. */
function launched(t: { after: (release: () => void) => void }, program: string, args: readonly string[] = []) {
  const folder = mkdtempSync(join(tmpdir(), 'coatcheck-launch-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const entry = join(folder, 'entry.ts');
  writeFileSync(entry, program);
  const command = ['src/setup/launch.mjs', '--needs=packages', relative(root, entry), ...args];
  const child = spawn(process.execPath, command, { cwd: root, stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

test('arguments, stdin, stdout and the exit code pass through to Node 24', async (t) => {
  const program = `
    const chunks: string[] = [];
    for await (const chunk of process.stdin) chunks.push(String(chunk));
    console.log(JSON.stringify([process.versions.node.split('.')[0], process.argv.slice(2), chunks.join('')]));
    process.exitCode = 7;
  `;
  const child = launched(t, program, ['--flag', 'two words']);
  child.stdin.end('hello');
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk;
  });
  const [code] = await once(child, 'close');
  assert.deepEqual(JSON.parse(output), ['24', ['--flag', 'two words'], 'hello']);
  assert.equal(code, 7);
});

test('a signal reaches the program, which decides how it ends', async (t) => {
  const program = `
    process.on('SIGTERM', () => process.exit(3));
    setInterval(() => {}, 1000);
    console.log('ready');
  `;
  const child = launched(t, program);
  await once(child.stdout, 'data');
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [3, null]);
});

test('a program that dies of a signal makes the launcher die of it too', async (t) => {
  const child = launched(t, `process.kill(process.pid, 'SIGKILL');`);
  assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL']);
});

test('without an entry it says how it is used', async () => {
  const child = spawn(process.execPath, ['src/setup/launch.mjs', '--needs=packages'], { cwd: root, stdio: 'ignore' });
  assert.deepEqual(await once(child, 'exit'), [2, null]);
});
