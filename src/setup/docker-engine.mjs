/** A running Docker engine that knows the `coatcheck` runtime. */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ensureCgroups } from './cgroups.mjs';
import { run, SetupError } from './command.mjs';
import { RUNTIME_ARGS } from './daemon-json.mjs';
import { engineInfo } from './engine.mjs';
import { findProgram } from './programs.mjs';

const START_MS = 60_000;
const RELOAD_MS = 10_000;
const POLL_MS = 100;

/** Whether systemd runs this machine (https://www.freedesktop.org/software/systemd/man/sd_booted.html). */
const hasSystemd = () => existsSync('/run/systemd/system');

/** @param {Awaited<ReturnType<typeof engineInfo>>} info */
const knowsRuntime = (info) => JSON.stringify(info?.runtimes['coatcheck']?.runtimeArgs) === JSON.stringify(RUNTIME_ARGS);

/**
 * Asks the engine until what it says is as wanted, or the time is up, or `ended` says that it never will be.
 * @param {string} socket
 * @param {(info: Awaited<ReturnType<typeof engineInfo>>) => boolean} wanted
 * @param {number} ms
 * @param {() => boolean} [ended]
 */
async function waitForEngine(socket, wanted, ms, ended = () => false) {
  const deadline = performance.now() + ms;
  while (performance.now() < deadline && !ended()) {
    if (wanted(await engineInfo(socket))) return true;
    await delay(POLL_MS);
  }
  return false;
}

/**
 * Removes a pid file whose process is gone or is some other program by now (a machine that was switched off, or
 * copied): the daemon would take it for itself still running and refuse to start.
 * @param {string} file
 * @param {string} program
 */
export function removeStalePid(file, program) {
  if (!existsSync(file)) return;
  const pid = readFileSync(file, 'utf8').trim();
  const comm = `/proc/${pid}/comm`;
  if (/^\d+$/.test(pid) && existsSync(comm) && readFileSync(comm, 'utf8').trim() === program) return;
  rmSync(file);
}

/** @param {string} file */
const lastLines = (file) => readFileSync(file, 'utf8').trim().split('\n').slice(-8).join('\n');

/**
 * Starts dockerd in a session of its own, its output in a log file.
 * @param {import('./step.mjs').Context} context
 */
async function startDirectly({ files, record, say }) {
  const dockerd = findProgram('dockerd');
  if (dockerd === null) throw new SetupError('dockerd is not installed.', 'Run `npm run setup -- --check`.');
  removeStalePid(files.dockerPid, 'dockerd');
  removeStalePid(files.containerdPid, 'containerd');
  mkdirSync(dirname(files.dockerLog), { recursive: true });
  const log = openSync(files.dockerLog, 'a');
  const child = spawn(dockerd, [], { detached: true, stdio: ['ignore', log, log], cwd: '/' });
  closeSync(log);
  let ended = false;
  child.once('exit', () => {
    ended = true;
  });
  child.once('error', () => {
    ended = true;
  });
  if (child.pid !== undefined) record({ deed: 'dockerd', pid: child.pid });
  const up = await waitForEngine(
    files.dockerSocket,
    (info) => info !== null,
    START_MS,
    () => ended,
  );
  child.unref();
  if (!up)
    throw new SetupError(`dockerd does not come up:\n${lastLines(files.dockerLog)}`, `Its whole log is ${files.dockerLog}.`);
  say(`started dockerd (no service manager here; log: ${files.dockerLog})`);
}

/**
 * Makes a running engine read daemon.json again; containers are not touched.
 * @param {import('./step.mjs').Context} context
 */
export async function reloadEngine({ files, say }) {
  if (hasSystemd()) await run('systemctl', ['reload', 'docker']);
  else process.kill(Number(readFileSync(files.dockerPid, 'utf8').trim()), 'SIGHUP');
  say('made Docker read its daemon.json again (SIGHUP)');
}

/** @type {import('./step.mjs').Step} */
export const dockerEngine = {
  name: 'Docker engine',
  needs: 'machine',
  async check({ files }) {
    const info = await engineInfo(files.dockerSocket);
    if (info === null) {
      const command = hasSystemd() ? 'systemctl start docker' : `setsid dockerd >>${files.dockerLog} 2>&1 &`;
      return { ok: false, missing: `an answer on ${files.dockerSocket}`, command };
    }
    if (!knowsRuntime(info)) {
      return { ok: false, missing: 'the runtime "coatcheck" in the running engine', command: 'kill -HUP $(pidof dockerd)' };
    }
    return { ok: true, detail: `${info.version}, with the coatcheck runtime` };
  },
  async apply(context) {
    const { files, root, say } = context;
    if (!root)
      throw new SetupError('Only root may start Docker or make it read its configuration again.', 'Run `npm run setup` as root.');
    if ((await engineInfo(files.dockerSocket)) === null) {
      if (hasSystemd()) {
        await run('systemctl', ['start', 'docker']);
        say('started Docker (systemctl start docker)');
        await waitForEngine(files.dockerSocket, (info) => info !== null, START_MS);
      } else {
        await ensureCgroups(context);
        await startDirectly(context);
      }
    }
    if (knowsRuntime(await engineInfo(files.dockerSocket))) return;
    await reloadEngine(context);
    if (await waitForEngine(files.dockerSocket, knowsRuntime, RELOAD_MS)) return;
    throw new SetupError(
      'Docker does not list the runtime "coatcheck" after reading its configuration again.',
      `Look for errors in its log and in ${files.daemonJson}.`,
    );
  },
};
