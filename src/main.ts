import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { z } from 'zod';
import { type Config, readConfig } from './config.ts';
import { CoatcheckError, errorText } from './errors.ts';
import { openQueue } from './queue/queue.ts';
import { startRedis } from './queue/redis-server.ts';
import { startControlPlane } from './start/control-plane.ts';
import { openDataDirectory } from './start/data-directory.ts';
import { startHostProcess } from './start/host.ts';
import { releases } from './start/release.ts';

const MODES = ['all', 'control', 'host'] as const;
const Package = z.object({ version: z.string() });
type Mode = (typeof MODES)[number];

/** What is left to do by itself after everything was released gets this long. */
const LINGER_MS = 1000;

function modeOf(args: readonly string[]): Mode {
  const { positionals } = parseArgs({ args: [...args], allowPositionals: true });
  const mode = MODES.find((known) => known === (positionals[0] ?? 'all'));
  if (mode !== undefined && positionals.length <= 1) return mode;
  throw new CoatcheckError('usage', `“${positionals.join(' ')}” is not a way to start.`, `Use one of: ${MODES.join(', ')}.`);
}

/** What a host on a machine of its own must be told. */
function hostOnly(config: Config): { redisUrl: string; controlUrl: string; hostKey: string } {
  const { redisUrl, controlUrl, hostKey } = config;
  if (redisUrl !== null && controlUrl !== null && hostKey !== null) return { redisUrl, controlUrl, hostKey };
  throw new CoatcheckError(
    'environment_invalid',
    'A host needs REDIS_URL, COATCHECK_CONTROL_URL and COATCHECK_HOST_KEY, and not all are set.',
    'Set them to the control plane’s; its key is in host-key.secret of its data directory.',
  );
}

/** Wires everything by hand, runs until a signal asks for the end, then releases last-in first-out. */
async function main(): Promise<void> {
  const mode = modeOf(process.argv.slice(2));
  const config = readConfig();
  const log = pino({ level: config.logLevel, base: null });
  const release = releases((text) => log.error(text));
  const ending = new AbortController();
  const ended = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (ending.signal.aborted) return;
        log.info(`${signal}: ending`);
        ending.abort();
        resolve();
      });
    }
  });
  try {
    const { version } = Package.parse(JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')));
    const data = await openDataDirectory(config.dataDirectory);
    const given = mode === 'host' ? hostOnly(config) : null;
    const hostKey = given?.hostKey ?? config.hostKey ?? (await data.secret('host-key'));
    let redisUrl = given?.redisUrl ?? config.redisUrl;
    if (redisUrl === null) {
      const directory = path.join(config.dataDirectory, 'redis');
      const redis = await startRedis({ directory, signal: new AbortController().signal, log: (line) => log.warn(line) });
      release.add('Redis', redis.close);
      redisUrl = redis.url;
    }
    const queue = await openQueue({ url: redisUrl, log: (line) => log.warn(line) });
    release.add('queue', queue.close);
    const controlUrl =
      given?.controlUrl ?? (await startControlPlane({ config, log, data, queue, hostKey, release, signal: ending.signal }));
    if (mode !== 'control') await startHostProcess({ config, log, queue, controlUrl, hostKey, release, version });
    await ended;
  } catch (error) {
    if (!ending.signal.aborted) {
      log.fatal(errorText(error));
      process.exitCode = 1;
    }
  } finally {
    await release.run();
    // Everything is released; a connection that tells of no end must not keep the process.
    setTimeout(() => process.exit(), LINGER_MS).unref();
  }
}

await main().catch((error: unknown) => {
  // Before there is a log: what was asked for, or the environment, cannot be used.
  process.stderr.write(`${errorText(error)}\n`);
  process.exitCode = 1;
});
