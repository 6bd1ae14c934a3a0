/**
 * The scripted model server as a process of its own:
 * `main.ts --dialect anthropic-messages|openai-chat [--port 0] [--key KEY] [--script FILE]`.
 * Prints one JSON line `{"url": …}` once it listens; ends when its standard input does.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { ScriptedServer } from './server.ts';

const { values } = parseArgs({
  options: {
    dialect: { type: 'string' },
    port: { type: 'string', default: '0' },
    key: { type: 'string', default: 'scripted-model-key' },
    script: { type: 'string' },
  },
});

const dialect = z.enum(['anthropic-messages', 'openai-chat']).parse(values.dialect);
const script: unknown =
  values.script === undefined ? [{ text: 'Nothing to do.' }] : JSON.parse(await readFile(values.script, 'utf8'));
const { server } = new ScriptedServer({ dialect, script, key: values.key });
server.listen(Number(values.port), '127.0.0.1');
await once(server, 'listening');
const { port } = z.object({ port: z.int() }).parse(server.address());
console.log(JSON.stringify({ url: `http://127.0.0.1:${port}` }));

// The starter holds the other end: when it is gone, however it went, so is this.
process.stdin.resume();
process.stdin.once('end', () => process.exit(0));
