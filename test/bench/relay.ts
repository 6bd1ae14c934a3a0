import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, needed, type Running, serve } from './programs.ts';

const CONFIGURATION = fileURLToPath(new URL('../../runner-image/relay.cfg', import.meta.url));

/** The runner image's own relay, in front of another address: what clients in a sandbox speak to. */
export async function openRelay(directory: string, name: string, to: string): Promise<Running & { readonly port: number }> {
  const port = await freePort();
  const file = join(directory, `${name}.cfg`);
  const text = readFileSync(CONFIGURATION, 'utf8')
    .replace('127.0.0.1:3128', `127.0.0.1:${port}`)
    .replace('unix@/run/coatcheck/door.sock', to);
  writeFileSync(file, text);
  const running = await serve(needed('haproxy'), ['-db', '-f', file], { port, host: '127.0.0.1' });
  return { pid: running.pid, port, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}
