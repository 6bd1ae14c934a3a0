import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { stringify } from 'yaml';
import { childEnvironment } from '../../config.ts';
import { CoatcheckError } from '../../errors.ts';

const MAIN = path.join(import.meta.dirname, '..', '..', 'main.ts');
const READY_MS = 60_000;
const END_MS = 60_000;

/** A port that was free a moment ago: GitHub has to be told the address before the product listens on it. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('No port was free.');
  return address.port;
}

export interface ProductOptions {
  readonly mode: 'all' | 'control' | 'host';
  readonly directory: string;
  /** The operator's policy, as it stands in the file. */
  readonly policy: object;
  readonly environment: Readonly<Record<string, string>>;
}

/** The product as it ships, as a process of its own. */
export interface Product {
  readonly pid: number;
  /** Its log, line by line, in a file. */
  readonly logFile: string;
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  kill(signal: NodeJS.Signals): void;
  /** Asks it to end and waits; a process that does not end in time is killed. */
  close(): Promise<void>;
}

/** Which line of its log says that a process is ready. */
const READY: { readonly [M in ProductOptions['mode']]: RegExp } = {
  all: /"msg":"host ready"/,
  host: /"msg":"host ready"/,
  control: /"msg":"serving /,
};

/** Starts the product and waits until it is ready. @throws CoatcheckError `product_not_ready` with the end of its log. */
export async function startProduct(options: ProductOptions): Promise<Product> {
  const { directory, mode } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const policyFile = path.join(directory, 'policy.yaml');
  await writeFile(policyFile, stringify(options.policy));
  const logFile = path.join(directory, `${mode}.log`);
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, mode], {
    env: childEnvironment({ COATCHECK_DATA_DIR: directory, COATCHECK_POLICY: policyFile, ...options.environment }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit').then(([code, signal]) => signal ?? code);
  const log = createWriteStream(logFile, { flags: 'a', mode: 0o600 });
  child.stderr.pipe(log, { end: false });
  child.stdout.pipe(log, { end: false });
  void ended.then(() => log.end());
  await ready(child, READY[mode], ended, logFile);
  return {
    pid: child.pid ?? 0,
    logFile,
    ended,
    kill: (signal) => void child.kill(signal),
    async close() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

async function ready(child: ChildProcess, line: RegExp, ended: Promise<unknown>, logFile: string): Promise<void> {
  const said: string[] = [];
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('The product was started without pipes.');
  stderr.on('data', (chunk: Buffer) => void said.push(chunk.toString('utf8')));
  const lines = createInterface({ input: stdout });
  const appeared = new Promise<'ready'>((resolve) => {
    lines.on('line', (text) => {
      said.push(`${text}\n`);
      if (line.test(text)) resolve('ready');
    });
  });
  const late = AbortSignal.timeout(READY_MS);
  const outcome = await Promise.race([appeared, ended.then(() => 'ended'), once(late, 'abort').then(() => 'late')]);
  if (outcome === 'ready') return;
  child.kill('SIGKILL');
  const end = said.join('').slice(-3000);
  throw new CoatcheckError(
    'product_not_ready',
    `coatcheck did not get ready (${outcome}):\n${end}`,
    `Its whole log is ${logFile}.`,
  );
}
