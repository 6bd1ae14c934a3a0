/** The `coatcheck` runtime in Docker's daemon.json: runsc without a network of its own, with host Unix sockets and a log. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { SetupError } from './command.mjs';
import { findProgram } from './programs.mjs';

/**
 * `--network=none`: no interface but loopback. `--host-uds=open`: the door's socket may be connected to, none created.
 * The others write down what runs inside and where it connects to; src/sandbox/witness/arguments.ts says why these.
 */
export const RUNTIME_ARGS = [
  '--network=none',
  '--host-uds=open',
  '--debug-log=/run/coatcheck-witness/%TIMESTAMP%.%COMMAND%.json',
  '--debug-log-format=json',
  '--debug-command=boot',
  '--strace',
  '--strace-syscalls=execve,execveat,clone,clone3,fork,vfork,connect',
];

/**
 * @param {string} text content of daemon.json; empty for a new one
 * @param {string} file named in the error
 * @returns {Record<string, unknown> & { runtimes?: Record<string, unknown> }}
 */
function parse(text, file) {
  try {
    const parsed = text.trim() === '' ? {} : JSON.parse(text);
    if (parsed !== null && typeof parsed === 'object' && !Array.isArray(parsed)) return parsed;
  } catch {
    // said below, with the file's name
  }
  throw new SetupError(`${file} is not a JSON object.`, 'Repair it (Docker does not start with it either) and run this again.');
}

/** @param {string} file */
const readOrEmpty = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : '');

/**
 * Whether a runtime of our name is in it, with whatever arguments.
 * @param {string} text
 * @param {string} file
 */
const hasRuntime = (text, file) => Object.hasOwn(parse(text, file).runtimes ?? {}, 'coatcheck');

/**
 * The text with our runtime in it; everything else stays as it is.
 * @param {string} text
 * @param {string} runsc path of the program
 * @param {string} file
 */
export function withRuntime(text, runsc, file) {
  const config = parse(text, file);
  const runtimes = { ...config.runtimes, coatcheck: { path: runsc, runtimeArgs: RUNTIME_ARGS } };
  return `${JSON.stringify({ ...config, runtimes }, null, 2)}\n`;
}

/**
 * The text without our runtime; null when nothing else is left in it.
 * @param {string} text
 * @param {string} file
 */
export function withoutRuntime(text, file) {
  const { runtimes: { coatcheck: _ours, ...others } = {}, ...config } = parse(text, file);
  const rest = Object.keys(others).length === 0 ? config : { ...config, runtimes: others };
  return Object.keys(rest).length === 0 ? null : `${JSON.stringify(rest, null, 2)}\n`;
}

/**
 * Replaces the file in one move, so that a Docker that reads it meanwhile sees the old or the new one.
 * @param {string} file
 * @param {string} text
 */
export function replaceFile(file, text) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.coatcheck-new`, text, { mode: 0o644 });
  renameSync(`${file}.coatcheck-new`, file);
}

/**
 * @param {string} file
 * @param {boolean} created whether set-up created the file: then an empty rest is removed
 */
export function removeRuntime(file, created) {
  if (!existsSync(file)) return;
  const rest = withoutRuntime(readFileSync(file, 'utf8'), file);
  if (rest === null && created) rmSync(file);
  else replaceFile(file, rest ?? '{}\n');
}

/** @type {import('./step.mjs').Step} */
export const dockerRuntime = {
  name: 'the coatcheck runtime in daemon.json',
  needs: 'machine',
  async check({ files }) {
    const runsc = findProgram('runsc') ?? '/usr/bin/runsc';
    /** @type {Record<string, unknown>} */
    const runtimes = parse(readOrEmpty(files.daemonJson), files.daemonJson).runtimes ?? {};
    if (JSON.stringify(runtimes['coatcheck']) === JSON.stringify({ path: runsc, runtimeArgs: RUNTIME_ARGS })) {
      return { ok: true, detail: `${runsc} ${RUNTIME_ARGS.join(' ')}` };
    }
    const wanted = `{"runtimes": {"coatcheck": {"path": "${runsc}", "runtimeArgs": ${JSON.stringify(RUNTIME_ARGS)}}}}`;
    return {
      ok: false,
      missing: `the runtime "coatcheck" in ${files.daemonJson}`,
      command: `merge ${wanted} into ${files.daemonJson}, then kill -HUP $(pidof dockerd)`,
    };
  },
  async apply({ files, root, say, record }) {
    if (!root) throw new SetupError(`Only root may change ${files.daemonJson}.`, 'Run `npm run setup` as root.');
    const file = files.daemonJson;
    const runsc = findProgram('runsc');
    if (runsc === null) throw new SetupError('runsc is not installed.', 'Run `npm run setup -- --check`.');
    const text = readOrEmpty(file);
    const next = withRuntime(text, runsc, file);
    const created = !existsSync(file);
    record({ deed: 'runtime', file, created });
    if (hasRuntime(text, file)) {
      replaceFile(file, next);
      say(`brings the runtime in ${file} up to date`);
      return;
    }
    if (!created && !existsSync(`${file}.before-coatcheck`)) copyFileSync(file, `${file}.before-coatcheck`);
    replaceFile(file, next);
    say(created ? `writes ${file}` : `adds the runtime to ${file} (as it was: ${file}.before-coatcheck)`);
  },
};
