import { Command } from 'commander';
import { z } from 'zod';
import { errorText } from '../errors.ts';
import { auditVerify } from './audit.ts';
import { ProveOptions, prove } from './prove.ts';
import { QuickstartOptions, quickstart } from './quickstart/quickstart.ts';

const print = (line: string): void => void process.stdout.write(`${line}\n`);

// A reader such as `head` that has seen enough ends us, and is no error.
process.stdout.on('error', () => process.exit());

const ending = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ending.abort());

const program = new Command('coatcheck').description(
  'Hand in an issue, get back a verified pull request with the evidence attached.',
);

program
  .command('quickstart')
  .description('run the main job once on a GitHub look-alike, and show it')
  .option('--sample <name>', 'node, python or c')
  .option('--repo <path>', 'work on a copy of this repository instead')
  .option('--issue <text>', 'what is to be done; the first line is the title')
  .option('--model <name>', 'a real model; its vendor’s key or base URL is taken from the environment')
  .option('--keep', 'leave everything running to look at')
  .option('--json', 'print one JSON object as the last line')
  .action(async (given: unknown) => {
    const options = QuickstartOptions.parse(given);
    const summary = await quickstart(options, print, ending.signal);
    if (options.json) print(JSON.stringify(summary));
    if (!summary.record_verified || summary.pull_request === null) process.exitCode = 1;
  });

program
  .command('prove')
  .description('attempt escapes, egress and more in a sandbox of this host’s own policy, and show that none succeeds')
  .option('--policy <file>', 'the operator’s policy; COATCHECK_POLICY otherwise')
  .option('--only <class>', 'one class of probes')
  .option('--json', 'print one JSON object as the last line')
  .action(async (given: unknown) => {
    const options = ProveOptions.parse(given);
    const proof = await prove(options, print, ending.signal);
    if (options.json) print(JSON.stringify(proof));
    if (proof.held === 0 || proof.failed.length > 0) process.exitCode = 1;
  });

program
  .command('audit')
  .description('work with records of attempts')
  .command('verify <file>')
  .description('say of a record whether it is intact, or what the first bad event is; works offline')
  .option('--key <file>', 'the deployment’s public key (PEM), received another way than with the record')
  .action(async (file: string, given: { key?: string }) => {
    if (!(await auditVerify(file, given, print))) process.exitCode = 1;
  });

try {
  await program.parseAsync();
} catch (error) {
  if (!ending.signal.aborted) {
    process.stderr.write(`${error instanceof z.ZodError ? z.prettifyError(error) : errorText(error)}\n`);
    process.exitCode = 1;
  }
}
