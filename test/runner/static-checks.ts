import { spawn } from 'node:child_process';
import type { Outcome } from './outcome.ts';

/** What is checked without running the product: [name, program below node_modules, arguments]. */
const CHECKS: readonly (readonly [string, string, ...string[]])[] = [
  ['types (tsc)', 'typescript/bin/tsc', '--noEmit'],
  ['lint and format (biome)', '@biomejs/biome/bin/biome', 'ci', '--colors=off'],
  ['nothing unused (knip)', 'knip/bin/knip.js', '--no-progress'],
];

function output(program: string, args: readonly string[]): Promise<{ code: number | null; text: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    const add = (chunk: Buffer): void => {
      text += chunk.toString();
    };
    child.stdout.on('data', add);
    child.stderr.on('data', add);
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, text }));
  });
}

/** Types, lint and format, unused code; each counts as one test. The import rules are a test of their own. */
export async function staticChecks(outcome: Outcome): Promise<void> {
  for (const [name, program, ...args] of CHECKS) {
    const start = performance.now();
    const { code, text } = await output(`node_modules/${program}`, args);
    console.log(`${code === 0 ? 'ok     ' : 'FAILED '} ${name}  ${((performance.now() - start) / 1000).toFixed(1)} s`);
    if (code === 0) outcome.passed += 1;
    else outcome.failed.push({ name, text });
  }
}
