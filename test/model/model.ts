import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { ModelDialect } from '../../src/task/work-order.ts';
import type { Script } from './script.ts';
import type { RecordedRequest } from './server.ts';

export const SCRIPTED_KEY = 'scripted-model-key';

export interface ScriptedModel extends AsyncDisposable {
  /** The origin, without a path; a base URL for the OpenAI dialect is this and `/v1`. */
  readonly url: string;
  readonly key: string;
  /** The process, for tests that kill the model. */
  readonly pid: number;
  /** Every request whose answer has ended, in order. */
  requests(): Promise<readonly RecordedRequest[]>;
  /** Resolves once so many answers hang. */
  hanging(count: number): Promise<void>;
  /** Lets answers that hang go on. */
  release(): Promise<void>;
  close(): Promise<void>;
}

const Requests = z.array(
  z.object({
    path: z.string(),
    headers: z.record(z.string(), z.string()),
    body: z.unknown(),
    status: z.int(),
    left: z.boolean(),
  }),
);

/** Starts the scripted model server as a process of its own. */
export async function startScriptedModel(options: {
  dialect: ModelDialect;
  script: Script;
  key?: string;
}): Promise<ScriptedModel> {
  const folder = await mkdtemp(join(tmpdir(), 'coatcheck-model-'));
  const file = join(folder, 'script.json');
  await writeFile(file, JSON.stringify(options.script));
  const key = options.key ?? SCRIPTED_KEY;
  const main = fileURLToPath(new URL('main.ts', import.meta.url));
  const child = spawn(process.execPath, [main, '--dialect', options.dialect, '--script', file, '--key', key], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  const first = await Promise.race([once(lines, 'line'), ended.then(() => [])]);
  const { url } = z.object({ url: z.url() }).parse(JSON.parse(String(first[0] ?? '{}')));
  const close = async () => {
    lines.close();
    child.stdin.end();
    child.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  return {
    url,
    key,
    pid: z.int().parse(child.pid),
    requests: async () => Requests.parse(await (await fetch(`${url}/_script/requests`)).json()),
    hanging: async (count) => {
      await fetch(`${url}/_script/hanging/${count}`);
    },
    release: async () => {
      await fetch(`${url}/_script/release`, { method: 'POST' });
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
