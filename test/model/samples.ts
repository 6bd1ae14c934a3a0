import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Script } from './script.ts';

export const Sample = z.enum(['node', 'python', 'c']);
export type Sample = z.infer<typeof Sample>;

const Fix = z.strictObject({ path: z.string(), old: z.string(), new: z.string(), title: z.string(), why: z.string() });

const TEST: Readonly<Record<Sample, string>> = { node: 'npm test', python: 'python3 -m unittest', c: 'make test' };

/** How a model that does its work well resolves a sample's issue: look, plan, see it fail, mend it, see it pass, sum up. */
export async function sampleScript(sample: Sample): Promise<Script> {
  const fix = Fix.parse(JSON.parse(await readFile(new URL(`../samples/${sample}/fix.json`, import.meta.url), 'utf8')));
  const test = { tool: 'run', input: { command: TEST[sample] } };
  const plan = [
    `1. ${fix.why}`,
    `2. Correct that one place in ${fix.path}; the existing tests already show the failure and stay as they are.`,
    `3. Run \`${TEST[sample]}\`.`,
  ].join('\n');
  return [
    { lacks: 'edit', turn: 0, text: `I read ${fix.path} first.`, calls: [{ tool: 'read', input: { path: fix.path } }] },
    { lacks: 'edit', text: plan },
    { turn: 0, text: 'First I look at the failing test.', calls: [test] },
    { turn: 1, text: 'Now the correction.', calls: [{ tool: 'edit', input: { path: fix.path, old: fix.old, new: fix.new } }] },
    { turn: 2, text: 'And the tests once more.', calls: [test] },
    { text: `${fix.title}\n\n${fix.why}` },
  ];
}
