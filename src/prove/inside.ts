import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { CoatcheckError } from '../errors.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';

/** Programs of inside/, in Python because it reaches every system call and is in the runner image. */
export type Program = 'escape' | 'network' | 'credentials' | 'conversations' | 'limits';

const PROGRAM_MS = 45_000;
const source = (name: string): string => readFileSync(new URL(`./inside/${name}.py`, import.meta.url), 'utf8');

/**
 * Runs a program inside and gives the JSON objects that it printed, line by line.
 * @param parameters what the program reads; nothing secret, as every process of the same user can read it.
 * @throws CoatcheckError `prove_failed` when it did not run to its end.
 */
export async function runInside<Line>(
  sandbox: Pick<Sandbox, 'exec'>,
  program: Program,
  parameters: unknown,
  schema: z.ZodType<Line>,
): Promise<Line[]> {
  const given = `PARAMETERS = json.loads(${JSON.stringify(JSON.stringify(parameters))})\n`;
  const result = await sandbox.exec({
    command: ['python3', '-'],
    cwd: '/tmp',
    // As the program's own text and not as its environment, which has a bound for one variable.
    stdin: Buffer.from(source('prelude') + given + source(program)),
    timeoutMs: PROGRAM_MS,
    outputLimit: 4 * 1024 * 1024,
    signal: new AbortController().signal,
  });
  if (result.end === 'exited' && result.exitCode === 0)
    return z.array(schema).parse(
      result.stdout
        .toString()
        .split('\n')
        .filter((line) => line !== '')
        .map((line): unknown => JSON.parse(line)),
    );
  throw new CoatcheckError(
    'prove_failed',
    `The probes of ${program} did not run to their end inside the sandbox (${result.end} ${result.exitCode ?? ''}): ${result.output.slice(-600)}`,
    'The image must be derived from the one that `npm run setup` builds.',
  );
}
