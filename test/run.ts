/**
 * `npm test [-- PATH…]`, `npm run test:unit`, `npm run contract:github`.
 *
 * Without arguments: static checks, then unit tests, then those on real parts (Docker, Redis, root), then a look for
 * what they left behind. With paths: the test files below them. `--runs=100000`: so many runs of each property test
 * instead of 1000. The last line is `N passed, N failed, N skipped`.
 */
import { globSync } from 'node:fs';
import { checkLeaks, ownTemporaryFolder } from './runner/leaks.ts';
import { emptyOutcome, summary } from './runner/outcome.ts';
import { runFiles } from './runner/run-files.ts';
import { staticChecks } from './runner/static-checks.ts';

/** Folders of tests on real parts. */
const REAL = /^test\/(?:e2e|contract|escape|faults)\//;
/** Tests that start programs or servers of their own: they take no root and no daemon, but time. */
const WITH_PROCESSES = /\.process\.test\.ts$/;
/** Two at a time: with more, a small machine is so busy that what is waited for comes too late. */
const ON_REAL_PARTS = { concurrency: 2, timeoutMs: 8 * 60_000 };
/** What these measure (times, memory) is the machine's as much as the subject's: they run by themselves. */
const ALONE = /\/(?:door-flood|queue)\.test\.ts$/;

process.chdir(`${import.meta.dirname}/..`);
const args = process.argv.slice(2);
const unitOnly = args.includes('--unit');
const onGitHub = args.includes('--github');
const paths = onGitHub ? ['test/contract'] : args.filter((arg) => !arg.startsWith('--'));
if (onGitHub) process.env['COATCHECK_CONTRACT'] = 'github';
const runs = /^--runs=(\d+)$/.exec(args.find((arg) => arg.startsWith('--runs')) ?? '')?.[1];
if (runs !== undefined) process.env['COATCHECK_PROPERTY_RUNS'] = runs;
const UNIT = { concurrency: 2, timeoutMs: runs === undefined ? 60_000 : 4 * 3_600_000 };

const below = (file: string): boolean =>
  paths.length === 0 || paths.some((path) => file === path || file.startsWith(`${path.replace(/\/$/, '')}/`));
const files = globSync('test/**/*.test.ts', { exclude: ['test/samples/**'] })
  .filter(below)
  .sort();
const start = performance.now();
const since = Math.floor(Date.now() / 1000);
const outcome = emptyOutcome();
const folder = ownTemporaryFolder();

if (!unitOnly && paths.length === 0) await staticChecks(outcome);
const without = (...kinds: RegExp[]) => files.filter((file) => !kinds.some((kind) => kind.test(file)));
await runFiles(unitOnly ? without(REAL, WITH_PROCESSES) : without(REAL), { ...UNIT, outcome });
if (!unitOnly) {
  const real = files.filter((file) => REAL.test(file));
  await runFiles(
    real.filter((file) => !ALONE.test(file)),
    { ...ON_REAL_PARTS, outcome },
  );
  await runFiles(
    real.filter((file) => ALONE.test(file)),
    { ...ON_REAL_PARTS, concurrency: 1, outcome },
  );
}
await checkLeaks(folder, since, outcome);

if (files.length === 0) outcome.failed.push({ name: 'test files', text: `none below ${paths.join(', ')}` });
const { text, ok } = summary(outcome, process.env['CI'] === 'true');
console.log(`\n${((performance.now() - start) / 1000).toFixed(1)} s in all\n\n${text}`);
process.exitCode = ok ? 0 : 1;
