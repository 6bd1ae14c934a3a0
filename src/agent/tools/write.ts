import { z } from 'zod';
import { TreePath } from './path.ts';
import { agentTool, done, inWorkTree, programError } from './tool.ts';

const SCRIPT = `
set -e
if [ -d "$1" ]; then echo "is a directory" >&2; exit 1; fi
mkdir -p -- "\${1%/*}"
cat > "$1"
`;

export const write = agentTool({
  name: 'write',
  readOnly: false,
  description: 'Writes a whole file; folders on the way are made, a file that is there is replaced.',
  input: z.strictObject({
    path: TreePath.describe('relative to the root of the repository'),
    content: z.string().max(2_000_000).describe('the whole new content'),
  }),
  run: async ({ path, content }, context) => {
    const bytes = Buffer.from(content, 'utf8');
    const result = await inWorkTree(context, { command: ['sh', '-c', SCRIPT, 'sh', path], stdin: bytes });
    if (result.end !== 'exited' || result.exitCode !== 0) return programError(result);
    return done(`${bytes.length} bytes written`);
  },
});
