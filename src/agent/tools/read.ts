import { z } from 'zod';
import { TreePath } from './path.ts';
import { agentTool, done, failed, inWorkTree, programError } from './tool.ts';

const LINES = 1000;
const BYTES = 128 * 1024;
const SCRIPT = `
if [ -d "$1" ]; then echo "is a directory; use list" >&2; exit 1; fi
if [ ! -e "$1" ]; then echo "no such file" >&2; exit 1; fi
if [ ! -f "$1" ]; then echo "not a regular file" >&2; exit 1; fi
tail -n "+$2" -- "$1" | head -n "$3" | head -c "$4"
`;

export const read = agentTool({
  name: 'read',
  readOnly: true,
  description: `Reads a text file. At most ${LINES} lines at once; go on with offset.`,
  input: z.strictObject({
    path: TreePath.describe('relative to the root of the repository'),
    offset: z.int().positive().default(1).describe('first line, from 1'),
    limit: z.int().positive().max(LINES).default(LINES).describe('how many lines'),
  }),
  run: async ({ path, offset, limit }, context) => {
    const command = ['sh', '-c', SCRIPT, 'sh', path, String(offset), String(limit + 1), String(BYTES + 1)];
    const result = await inWorkTree(context, { command, outputLimit: BYTES + 1024 });
    if (result.end !== 'exited' || result.exitCode !== 0) return programError(result);
    if (result.stdout.includes(0)) return failed('a binary file');
    const cut = result.stdout.length > BYTES;
    const lines = result.stdout.subarray(0, BYTES).toString('utf8').split('\n');
    const more = lines.length > limit + 1 || (lines.length === limit + 1 && lines.at(-1) !== '');
    const text = lines.slice(0, limit).join('\n') + (more || lines.length <= limit ? '' : '\n');
    if (cut) return done(`${text}\n[cut after ${BYTES} bytes]`);
    if (more) return done(`${text}\n[more lines follow; go on with offset ${offset + limit}]`);
    return done(text === '' ? (offset > 1 ? '[nothing there: the file ends before this line]' : '[empty file]') : text);
  },
});
