#!/usr/bin/env node
/**
 * Starts a TypeScript entry point on Node 24 after making sure of the set-up it needs.
 *
 *     node src/setup/launch.mjs --needs=packages|machine ENTRY [ARGUMENT…]
 *
 * Plain JavaScript without imports from node_modules, so that any Node from 20 on runs it in a fresh clone.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { childEnvironment } from './environment.mjs';
import { node24, repository } from './places.mjs';
import { ensure } from './setup.mjs';

/** Signals of a person or a service manager; the child decides what they mean. */
const FORWARDED = /** @type {const} */ (['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGUSR2']);

/**
 * Runs `entry` (a path in the repository) with the terminal, signals and exit code of this process.
 * @param {'packages' | 'machine'} needs
 * @param {string} entry
 * @param {readonly string[]} args
 */
export async function launch(needs, entry, args) {
  if (!(await ensure(needs))) {
    process.exitCode = 1;
    return;
  }
  const node = node24();
  if (node === null) {
    console.error('Node 24 is missing although the packages are installed: run `npm run setup -- --check`.');
    process.exitCode = 1;
    return;
  }
  const child = spawn(node, ['--disable-warning=ExperimentalWarning', fileURLToPath(new URL(entry, repository)), ...args], {
    stdio: 'inherit',
    env: childEnvironment(node, fileURLToPath(new URL('node_modules', repository))),
  });
  for (const signal of FORWARDED) {
    process.on(signal, () => {
      // Ctrl-C in a terminal reaches the whole foreground group: the child has it already.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on('error', (error) => {
    console.error(`${node} does not start: ${error.message}`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    for (const forwarded of FORWARDED) process.removeAllListeners(forwarded);
    if (signal === null) process.exitCode = code ?? 1;
    else process.kill(process.pid, signal);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [needs, entry, ...args] = process.argv.slice(2);
  if ((needs !== '--needs=packages' && needs !== '--needs=machine') || entry === undefined) {
    console.error('usage: node src/setup/launch.mjs --needs=packages|machine ENTRY [ARGUMENT…]');
    process.exitCode = 2;
  } else {
    await launch(needs === '--needs=machine' ? 'machine' : 'packages', entry, args);
  }
}
