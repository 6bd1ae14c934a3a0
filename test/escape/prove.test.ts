import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';

const root = join(import.meta.dirname, '../..');
const Named = z.array(z.strictObject({ name: z.string(), why: z.string() }));
const Proof = z.strictObject({ cases: z.int(), held: z.int(), failed: Named, skipped: Named });

/** Runs `coatcheck prove`; the signal ends it as a terminal would. */
function prove(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['src/cli/main.ts', 'prove', ...args], { cwd: root, timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr }),
    );
  });
}

const leftovers = () => readdirSync(tmpdir()).filter((name) => name.startsWith('coatcheck-prove-'));

test('it shows a table for people and one line for programs, and leaves nothing', { timeout: 60_000 }, async () => {
  const before = leftovers();
  const { code, stdout, stderr } = await prove('--only', 'sockets', '--json');
  assert.equal(code, 0, stderr + stdout);
  const lines = stdout.trim().split('\n');
  const proof = Proof.parse(JSON.parse(lines.at(-1) ?? ''));
  assert.deepEqual([proof.failed, proof.skipped], [[], []]);
  assert.ok(proof.held >= 8 && proof.held === proof.cases, lines.at(-1));
  assert.equal(lines.filter((line) => line.startsWith('  ✓ ')).length, proof.held);
  assert.match(stdout, /✓ Docker’s socket +\S/);
  assert.deepEqual(leftovers(), before);
});

test('without the image of its policy it says what to do, and fails', { timeout: 30_000 }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'coatcheck-policy-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const policy = join(directory, 'policy.yaml');
  const standard = readFileSync(join(root, 'policies/default.yaml'), 'utf8');
  writeFileSync(policy, standard.replace(/default: coatcheck-runner:latest/, 'default: coatcheck-absent:latest'));
  const { code, stdout, stderr } = await prove('--policy', policy, '--json');
  assert.equal(code, 1, stdout);
  assert.match(stderr, /coatcheck-absent:latest[\s\S]*npm run setup/);
  const unknown = await prove('--only', 'nothing');
  assert.equal(unknown.code, 1, unknown.stdout);
});
