import { relative } from 'node:path';
import { run } from 'node:test';
import { inspect } from 'node:util';
import type { Outcome } from './outcome.ts';

/** Lines of a failing file's own output that are shown with the failure. */
const OUTPUT_LINES = 60;

export interface RunOptions {
  /** Files at once; each has a process of its own. */
  readonly concurrency: number;
  /** For one file. */
  readonly timeoutMs: number;
  readonly outcome: Outcome;
}

/** What is told of one file while it runs. */
interface FileState {
  passed: number;
  readonly failures: { readonly name: string; readonly error: Error }[];
  readonly skipped: { readonly name: string; readonly why: string }[];
  output: string;
}

const errorOf = (error: Error): string => inspect(error.cause ?? error, { depth: 6 });

/** A test whose subtests failed is not a failure of its own. */
const isParent = (error: Error & { failureType?: string }): boolean => error.failureType === 'subtestsFailed';

/** Runs test files with node's own runner, in their order, and adds what came of them to `outcome`. */
export async function runFiles(files: readonly string[], options: RunOptions): Promise<void> {
  const waiting = [...files];
  const worker = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) await runFile(file, options);
  };
  await Promise.all(Array.from({ length: options.concurrency }, worker));
}

/**
 * A run of its own for each file: what node tells of a test names the file in which `test()` is called, which for a table
 * of cases is not the file that runs them.
 */
async function runFile(path: string, { outcome, timeoutMs }: RunOptions): Promise<void> {
  const state: FileState = { passed: 0, failures: [], skipped: [], output: '' };
  const start = performance.now();
  for await (const event of run({ files: [path], isolation: 'process', timeout: timeoutMs })) {
    if (event.type === 'test:pass') {
      const { details, name, skip } = event.data;
      if (details.type === 'suite') continue;
      if (skip === undefined || skip === false) state.passed += 1;
      else state.skipped.push({ name, why: typeof skip === 'string' && skip !== '' ? skip : 'no reason given' });
    } else if (event.type === 'test:fail') {
      const { details, name, todo } = event.data;
      if (details.type !== 'suite' && todo === undefined && !isParent(details.error))
        state.failures.push({ name, error: details.error });
    } else if (event.type === 'test:stdout' || event.type === 'test:stderr') {
      state.output += event.data.message;
    }
  }
  report(relative(process.cwd(), path), state, performance.now() - start, outcome);
}

function report(file: string, { passed, failures, skipped, output }: FileState, ms: number, outcome: Outcome): void {
  const counts = [
    `${passed} passed`,
    ...(failures.length > 0 ? [`${failures.length} FAILED`] : []),
    ...(skipped.length > 0 ? [`${skipped.length} skipped`] : []),
  ];
  console.log(`${failures.length > 0 ? 'FAILED ' : 'ok     '} ${file}  ${counts.join(', ')}  ${(ms / 1000).toFixed(1)} s`);
  outcome.passed += passed;
  outcome.skipped.push(...skipped);
  const said = output.trimEnd().split('\n').slice(-OUTPUT_LINES).join('\n');
  for (const [index, { name, error }] of failures.entries()) {
    const text = index > 0 || said === '' ? errorOf(error) : `${errorOf(error)}\noutput of ${file}:\n${said}`;
    outcome.failed.push({ name: `${file}: ${name}`, text });
  }
}
