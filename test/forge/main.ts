/**
 * The forge as a process of its own:
 *
 *   node test/forge/main.ts --port 0 --directory DIR [--token-form short|long] [--end-with-stdin] [--temporary] [--json]
 *
 * Prints one line of JSON when ready, with or without `--json`. Ends on SIGTERM and SIGINT and, with
 * `--end-with-stdin`, when its parent is gone; with `--temporary` it takes DIR with it.
 */
import { rm } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { serve } from './server.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    directory: { type: 'string' },
    'token-form': { type: 'string', default: 'short' },
    'end-with-stdin': { type: 'boolean', default: false },
    temporary: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const { directory } = values;
if (directory === undefined) throw new Error('--directory DIR is needed: where the repositories are kept');

const forge = await serve({
  port: Number(values.port),
  directory,
  tokenForm: values['token-form'] === 'long' ? 'long' : 'short',
});

let ending = false;
const end = () => {
  if (ending) return;
  ending = true;
  void forge
    .close()
    .then(() => (values.temporary ? rm(directory, { recursive: true, force: true, maxRetries: 3 }) : undefined))
    .then(() => process.exit(0));
};
process.once('SIGTERM', end);
process.once('SIGINT', end);
if (values['end-with-stdin']) process.stdin.resume().once('end', end).once('error', end);

// Said last: whoever reads it may end this process at once.
process.stdout.write(`${JSON.stringify({ url: forge.url, api: `${forge.url}/api/v3`, pid: process.pid })}\n`);
