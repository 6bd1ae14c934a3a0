import { z } from 'zod';
import { TreePath } from './path.ts';
import { agentTool, done, inWorkTree, programError } from './tool.ts';

/** Replaces bytes in place, so that mode and links stay; `-I` keeps modules of the work tree from being imported. */
const SCRIPT = `
import json, os, sys
ask = json.load(sys.stdin.buffer)
path, old, new = ask["path"], ask["old"].encode(), ask["new"].encode()
if not os.path.isfile(path): sys.exit("no such file" if not os.path.exists(path) else "not a regular file")
with open(path, "r+b") as file:
    data = file.read()
    found = data.count(old)
    if found == 0: sys.exit("the old text is not in the file; read it again and copy the text exactly")
    if found > 1 and not ask["all"]: sys.exit("the old text is in the file %d times; give more of the text around it, or set all" % found)
    file.seek(0)
    file.write(data.replace(old, new))
    file.truncate()
print(found)
`;

export const edit = agentTool({
  name: 'edit',
  readOnly: false,
  description: 'Replaces text in a file. The old text must be there exactly, and once, unless all is set.',
  input: z
    .strictObject({
      path: TreePath.describe('relative to the root of the repository'),
      old: z.string().min(1).max(500_000).describe('the exact text to be replaced, with its white space'),
      new: z.string().max(500_000).describe('the text to stand in its place'),
      all: z.boolean().default(false).describe('replace every occurrence'),
    })
    .refine((input) => input.old !== input.new, 'old and new text are the same'),
  run: async ({ path, old, new: text, all }, context) => {
    const stdin = Buffer.from(JSON.stringify({ path, old: old.toWellFormed(), new: text.toWellFormed(), all }));
    const result = await inWorkTree(context, { command: ['python3', '-I', '-c', SCRIPT], stdin });
    if (result.end !== 'exited' || result.exitCode !== 0) return programError(result);
    const times = Number(result.stdout.toString('utf8'));
    return done(times === 1 ? 'replaced' : `replaced ${times} times`);
  },
});
