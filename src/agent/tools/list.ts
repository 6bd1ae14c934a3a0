import { z } from 'zod';
import { showName, TreePath } from './path.ts';
import { agentTool, done, inWorkTree, programError } from './tool.ts';

const ENTRIES = 500;
const SCRIPT = `
if [ ! -d "$1" ]; then echo "no such folder" >&2; exit 1; fi
find "$1" -mindepth 1 -maxdepth "$2" \\( -name .git -o -name node_modules -o -name .venv -o -name __pycache__ \\) -prune -o -mindepth 1 -printf '%y%P\\0'
`;

export const list = agentTool({
  name: 'list',
  readOnly: true,
  description: 'Lists files and folders (folders end in /); .git, node_modules, .venv and __pycache__ are left out.',
  input: z.strictObject({
    path: TreePath.default('./').describe('a folder, relative to the root of the repository'),
    depth: z.int().min(1).max(8).default(2).describe('how many levels down'),
  }),
  run: async ({ path, depth }, context) => {
    const result = await inWorkTree(context, { command: ['sh', '-c', SCRIPT, 'sh', path, String(depth)] });
    if (result.end !== 'exited' || result.exitCode !== 0) return programError(result);
    const entries = result.stdout.toString('utf8').split('\0').slice(0, -1).map(showEntry).sort();
    const more = entries.length - ENTRIES;
    if (entries.length === 0) return done('[empty folder]');
    const mark = more > 0 || result.truncated ? `\n[… ${more > 0 ? more : 'many'} more; list a folder further down]` : '';
    return done(entries.slice(0, ENTRIES).join('\n') + mark);
  },
});

/** find writes the type's letter before the name: d folder, l symbolic link. */
function showEntry(entry: string): string {
  const name = showName(entry.slice(1));
  if (entry.startsWith('d')) return `${name}/`;
  return entry.startsWith('l') ? `${name} (link)` : name;
}
