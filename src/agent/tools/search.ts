import { z } from 'zod';
import { TreePath } from './path.ts';
import { agentTool, done, failed, inWorkTree, programError } from './tool.ts';

const MATCHES_PER_FILE = 50;
const COLUMNS = 300;

export const search = agentTool({
  name: 'search',
  readOnly: true,
  description: 'Searches files by a regular expression (ripgrep); ignored files are left out. Answers path:line:text.',
  input: z.strictObject({
    pattern: z.string().min(1).max(2000).describe('a regular expression of Rust’s regex crate'),
    path: TreePath.default('./').describe('a folder or file to search in'),
    glob: z.string().min(1).max(500).optional().describe('only files that match, for example *.ts'),
    fixed: z.boolean().default(false).describe('take the pattern as plain text'),
  }),
  run: async ({ pattern, path, glob, fixed }, context) => {
    const options = [
      '--no-config',
      '--hidden',
      '--glob=!.git',
      '--line-number',
      '--no-heading',
      '--with-filename',
      '--color=never',
    ];
    const limits = ['--sort=path', `--max-count=${MATCHES_PER_FILE}`, `--max-columns=${COLUMNS}`, '--max-columns-preview'];
    const which = [...(glob === undefined ? [] : [`--glob=${glob}`]), ...(fixed ? ['--fixed-strings'] : [])];
    const command = ['rg', ...options, ...limits, ...which, `--regexp=${pattern}`, '--', path];
    const result = await inWorkTree(context, { command });
    // ripgrep: 0 found, 1 nothing found, 2 an error, perhaps beside matches.
    if (result.end === 'exited' && result.exitCode === 1) return done('[nothing found]');
    const found = result.stdout.toString('utf8');
    if (found !== '') return done(result.end === 'exited' ? found : `${found}\n[stopped: too much to search through]`);
    return result.stderr.length > 0 ? failed(result.stderr.toString('utf8').trim()) : programError(result);
  },
});
