import { relative } from 'node:path';
import { run } from 'node:test';
import { inspect } from 'node:util';
import type { Outcome } from './outcome.ts';

/** Lines of a failing file's own output that are shown with the failure. */
const OUTPUT_LINES = 60;

interface FileState {
  passed: number;
  failed: number;
  skipped: number;
  output: string;
}

const errorOf = (error: Error): string => inspect(error.cause ?? error, { depth: 6 });

/** A test whose subtests failed is not a failure of its own. */
const isParent = (error: Error & { failureType?: string }): boolean => error.failureType === 'subtestsFailed';

/** Reads what node:test's stream tells about one file at a time; prints one line when a file is done. */
class Reporter {
  readonly #outcome: Outcome;
  readonly #files = new Map<string, FileState>();
  readonly #failures: { readonly file: string; readonly name: string; readonly error: Error }[] = [];

  constructor(outcome: Outcome) {
    this.#outcome = outcome;
  }

  file(path: string | undefined): FileState {
    const name = relative(process.cwd(), path ?? 'unknown');
    const state = this.#files.get(name) ?? { passed: 0, failed: 0, skipped: 0, output: '' };
    this.#files.set(name, state);
    return state;
  }

  passed(path: string | undefined, name: string, skip: string | boolean | undefined): void {
    const state = this.file(path);
    if (skip === undefined || skip === false) {
      state.passed += 1;
      this.#outcome.passed += 1;
    } else {
      state.skipped += 1;
      this.#outcome.skipped.push({ name, why: typeof skip === 'string' && skip !== '' ? skip : 'no reason given' });
    }
  }

  failed(path: string | undefined, name: string, error: Error): void {
    this.file(path).failed += 1;
    this.#failures.push({ file: relative(process.cwd(), path ?? 'unknown'), name, error });
  }

  done(path: string, ms: number): void {
    const state = this.file(path);
    const counts = `${state.passed} passed${state.failed > 0 ? `, ${state.failed} FAILED` : ''}${state.skipped > 0 ? `, ${state.skipped} skipped` : ''}`;
    console.log(
      `${state.failed > 0 ? 'FAILED ' : 'ok     '} ${relative(process.cwd(), path)}  ${counts}  ${(ms / 1000).toFixed(1)} s`,
    );
  }

  end(): void {
    const shown = new Set<string>();
    for (const { file, name, error } of this.#failures) {
      const output = shown.has(file)
        ? ''
        : (this.#files.get(file)?.output.trimEnd().split('\n').slice(-OUTPUT_LINES).join('\n') ?? '');
      shown.add(file);
      const text = output === '' ? errorOf(error) : `${errorOf(error)}\noutput of ${file}:\n${output}`;
      this.#outcome.failed.push({ name: `${file}: ${name}`, text });
    }
  }
}

/**
 * Runs test files with node's own runner, each in a process of its own, and adds what came of it to `outcome`.
 * `timeoutMs` is for a whole file.
 */
export async function runFiles(
  files: readonly string[],
  options: { readonly concurrency: number; readonly timeoutMs: number; readonly outcome: Outcome },
): Promise<void> {
  if (files.length === 0) return;
  const reporter = new Reporter(options.outcome);
  const stream = run({ files: [...files], concurrency: options.concurrency, isolation: 'process', timeout: options.timeoutMs });
  for await (const event of stream) {
    if (event.type === 'test:pass') {
      if (event.data.details.type !== 'suite') reporter.passed(event.data.file, event.data.name, event.data.skip);
    } else if (event.type === 'test:fail') {
      const { details, file, name, todo } = event.data;
      if (details.type !== 'suite' && todo === undefined && !isParent(details.error)) reporter.failed(file, name, details.error);
    } else if (event.type === 'test:stdout' || event.type === 'test:stderr') {
      reporter.file(event.data.file).output += event.data.message;
    } else if (event.type === 'test:summary' && event.data.file !== undefined) {
      reporter.done(event.data.file, event.data.duration_ms);
    }
  }
  reporter.end();
}
