/** Running another program from set-up. */
import { spawn } from 'node:child_process';
import { quietEnvironment } from './environment.mjs';

/** A failure that names what happened and what to do; set-up prints it without a stack. */
export class SetupError extends Error {
  /**
   * @param {string} what
   * @param {string} next
   */
  constructor(what, next) {
    super(what);
    this.name = 'SetupError';
    this.next = next;
  }
}

/** Lines of a failed program's output that are shown from its start and from its end each. */
const SHOWN = 8;

/** @param {string} output */
function ends(output) {
  const lines = output.trim().split('\n');
  return (lines.length <= 2 * SHOWN ? lines : [...lines.slice(0, SHOWN), '…', ...lines.slice(-SHOWN)]).join('\n');
}

/**
 * Runs a program to its end with stdin closed.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ cwd?: string, allowFailure?: boolean, timeoutMs?: number }} [options]
 * @returns {Promise<{ code: number, output: string, stdout: string }>} output: stdout and stderr as they came
 * @throws {SetupError} with the end of its output when it fails, unless `allowFailure`
 */
export function run(program, args, { cwd, allowFailure = false, timeoutMs = 15 * 60_000 } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: quietEnvironment(),
      // Not spawn's own `timeout`: that timer keeps the process alive when the program is missing.
      signal: AbortSignal.timeout(timeoutMs),
      ...(cwd === undefined ? {} : { cwd }),
    });
    let stdout = '';
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
      stdout += text;
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
      output += text;
    });
    const command = [program, ...args].join(' ');
    child.on('error', (error) => {
      if (error.name === 'AbortError') {
        reject(
          new SetupError(
            `\`${command}\` is not done after ${timeoutMs / 1000} s.`,
            'See what it waits for, then run this again.',
          ),
        );
      } else if (allowFailure) resolve({ code: 127, output: error.message, stdout: '' });
      else reject(new SetupError(`\`${command}\` does not start: ${error.message}.`, `Install ${program} and run this again.`));
    });
    child.on('close', (code, signal) => {
      if (code === 0 || allowFailure) return resolve({ code: code ?? 1, output, stdout });
      reject(
        new SetupError(
          `\`${command}\` ended with ${code ?? signal}:\n${ends(output)}`,
          'Repair what it names and run `npm run setup` again.',
        ),
      );
    });
  });
}
