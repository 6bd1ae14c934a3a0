import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { RUNTIME_ARGS, replaceFile } from '../../src/setup/daemon-json.mjs';
import { engineInfo } from '../../src/setup/engine.mjs';
import { machineFiles } from '../../src/setup/places.mjs';

/** Docker's name for the runtime without the witness, while a bench runs. */
export const BARE = 'coatcheck-bench-bare';

const files = machineFiles('/');

/** Registers runsc without what makes it log, for as long as `work` takes. Docker only reads its configuration again. */
export async function withBareRuntime<T>(work: () => Promise<T>): Promise<T> {
  const runtimeArgs = RUNTIME_ARGS.filter((argument) => !/^--(debug|strace)/.test(argument));
  await change((runtimes) => ({ ...runtimes, [BARE]: { path: '/usr/bin/runsc', runtimeArgs } }));
  try {
    await known(true);
    return await work();
  } finally {
    await change(({ [BARE]: _ours, ...others }) => others);
  }
}

async function change(make: (runtimes: Record<string, unknown>) => Record<string, unknown>): Promise<void> {
  const config = JSON.parse(readFileSync(files.daemonJson, 'utf8'));
  replaceFile(files.daemonJson, `${JSON.stringify({ ...config, runtimes: make(config.runtimes ?? {}) }, null, 2)}\n`);
  process.kill(Number(readFileSync(files.dockerPid, 'utf8').trim()), 'SIGHUP');
}

async function known(wanted: boolean): Promise<void> {
  for (let looks = 0; looks < 100; looks++) {
    const info = await engineInfo(files.dockerSocket);
    if (info !== null && Object.hasOwn(info.runtimes, BARE) === wanted) return;
    await delay(50);
  }
  throw new Error('Docker did not take up the runtime of the bench.');
}
