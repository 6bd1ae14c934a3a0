import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { readConfig } from '../config.ts';
import { CoatcheckError, errorText } from '../errors.ts';
import { type OperatorConfig, parseOperatorConfig } from '../policy/operator-config.ts';
import { openGround, operatorRules } from '../prove/ground.ts';
import { CLASSES, type ProbeClass } from '../prove/probe.ts';
import { type Proof, proofOf, type Tried, prove as tryAll } from '../prove/prove.ts';
import { checkRunscAge } from '../start/runsc-age.ts';

export const ProveOptions = z.object({
  policy: z.string().min(1).optional(),
  only: z.enum(CLASSES).optional(),
  json: z.boolean().default(false),
});
export type ProveOptions = z.infer<typeof ProveOptions>;

const MARK = { held: '✓', failed: '✗', skipped: '–' } as const;

/**
 * Attempts on this host, in a sandbox of the operator's own policy, what must not succeed; prints a table.
 * @throws CoatcheckError when the policy cannot be read, or no sandbox or door can be made from it.
 */
export async function prove(options: ProveOptions, print: (line: string) => void, signal: AbortSignal): Promise<Proof> {
  const config = readConfig();
  const file = options.policy === undefined ? config.policyFile : path.resolve(options.policy);
  const operator = await readPolicy(file);
  const began = performance.now();
  const ground = await openGround({ operator, dockerSocket: config.dockerSocket, dataDirectory: config.dataDirectory, signal });
  const tried: Tried[] = [];
  try {
    const { runtime, runtimeVersion, kernel, image, imageDigest } = ground.sandbox.facts;
    print(`policy   ${file}`);
    print(`sandbox  ${runtime} ${runtimeVersion}, ${image} ${imageDigest.slice(0, 19)}, ${kernel}`);
    for (const remark of remarks(operator, ground.sandbox.facts, file)) print(`remark   ${remark}`);
    let shown: ProbeClass | null = null;
    for await (const one of tryAll(ground, operatorRules(operator), options.only ?? null, signal)) {
      if (one.class !== shown) print(`\n${one.class}`);
      shown = one.class;
      print(line(one));
      tried.push(one);
    }
  } finally {
    await ground.close();
  }
  const proof = proofOf(tried);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  print(
    `\n${proof.cases} cases, ${proof.held} held, ${proof.failed.length} failed, ${proof.skipped.length} skipped, in ${seconds} s`,
  );
  return proof;
}

async function readPolicy(file: string): Promise<OperatorConfig> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new CoatcheckError('policy_unreadable', `${file} cannot be read.`, 'Set COATCHECK_POLICY or --policy.', { cause });
  });
  return parseOperatorConfig(text, file);
}

/** What is said of the host without being attempted: a start of the host itself judges it. */
function remarks(operator: OperatorConfig, facts: { runtime: string; runtimeVersion: string }, file: string): string[] {
  if (facts.runtime !== 'runsc') return [];
  try {
    checkRunscAge(facts.runtimeVersion, operator.runtime, file);
    return [];
  } catch (thrown) {
    return [errorText(thrown)];
  }
}

function line({ outcome, name, attempt, expected, seen }: Tried): string {
  const first = `  ${MARK[outcome]} ${name.padEnd(46)} ${shown(seen)}`;
  return outcome === 'failed' ? `${first}\n      attempt:  ${attempt}\n      expected: ${expected}` : first;
}

/** What came from inside may hold control sequences. */
const shown = (text: string): string => text.replaceAll(/\p{Cc}/gu, '·');
