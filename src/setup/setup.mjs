#!/usr/bin/env node
/**
 * `npm run setup [-- --check | --undo]`: brings this machine to the point where everything runs, and back.
 * Idempotent; two at once wait for each other; a ready machine passes by checks alone.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { getuid } from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SetupError } from './command.mjs';
import { dockerRuntime } from './daemon-json.mjs';
import { debianPackages } from './debian-packages.mjs';
import { dockerEngine } from './docker-engine.mjs';
import { nodePackages } from './node-packages.mjs';
import { inRepository, machineFiles } from './places.mjs';
import { findProgram } from './programs.mjs';
import { runnerImage } from './runner-image.mjs';
import { addDeed } from './state.mjs';
import { undo } from './undo.mjs';

/** In the order in which they build on one another. */
const STEPS = [nodePackages, debianPackages, dockerRuntime, dockerEngine, runnerImage];

/** Exit code by which flock says that another process holds the lock. */
const LOCK_TAKEN = 75;

/** @typedef {'packages' | 'machine'} Needs */

/** @param {Needs} needs */
const stepsFor = (needs) => STEPS.filter((step) => needs === 'machine' || step.needs === 'packages');

/**
 * @param {string} root
 * @returns {import('./step.mjs').Context}
 */
function contextFor(root) {
  const isRoot = getuid?.() === 0;
  const files = machineFiles(root);
  if (!isRoot) files.state = inRepository('.coatcheck/setup.json');
  const start = performance.now();
  return {
    files,
    root: isRoot,
    say: (text) => console.error(`set-up ${((performance.now() - start) / 1000).toFixed(1).padStart(6)} s  ${text}`),
    record: (deed) => addDeed(files.state, deed),
  };
}

/**
 * @param {Needs} needs
 * @param {import('./step.mjs').Context} context
 */
const checkAll = (needs, context) =>
  Promise.all(stepsFor(needs).map(async (step) => ({ step, finding: await step.check(context) })));

/**
 * Does each step whose check finds something missing. The checks come again here: whoever had the lock before may have done it.
 * @param {Needs} needs
 * @param {import('./step.mjs').Context} context
 */
async function applyAll(needs, context) {
  for (const step of stepsFor(needs)) {
    if ((await step.check(context)).ok) continue;
    await step.apply(context);
    const after = await step.check(context);
    if (!after.ok)
      throw new SetupError(`${step.name}: ${after.missing} is still missing after set-up.`, `Try by hand: ${after.command}`);
  }
}

/**
 * Makes sure of what an entry point needs; says nothing on a ready machine.
 * @param {Needs} needs
 * @returns {Promise<boolean>} false when it could not be done, which has been said
 */
export async function ensure(needs) {
  const context = contextFor('/');
  const findings = await checkAll(needs, context);
  if (findings.every(({ finding }) => finding.ok)) return true;
  return (await underLock(['--needs', needs])) === 0;
}

/**
 * Runs this file again while holding the machine-wide lock.
 * @param {readonly string[]} args
 * @returns {Promise<number>} exit code
 */
async function underLock(args) {
  const self = [process.execPath, fileURLToPath(import.meta.url), '--locked', ...args];
  const flock = findProgram('flock');
  if (flock === null) return runVisibly(self);
  const lock = getuid?.() === 0 ? machineFiles('/').lock : inRepository('.coatcheck/setup.lock');
  mkdirSync(dirname(lock), { recursive: true });
  // --close: a dockerd started meanwhile must not inherit, and so keep, the lock.
  const code = await runVisibly([flock, '--close', '--nonblock', '--conflict-exit-code', String(LOCK_TAKEN), lock, ...self]);
  if (code !== LOCK_TAKEN) return code;
  console.error('set-up: another one is under way on this machine; waits for it');
  return runVisibly([flock, '--close', lock, ...self]);
}

/**
 * @param {readonly string[]} command
 * @returns {Promise<number>} exit code
 */
function runVisibly([program = '', ...args]) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', () => resolve(1));
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

/** @param {import('./step.mjs').Context} context */
async function report(context) {
  const findings = await checkAll('machine', context);
  for (const { step, finding } of findings) {
    if (finding.ok) console.log(`ok       ${step.name}: ${finding.detail}`);
    else console.log(`missing  ${step.name}: ${finding.missing}\n         ${finding.command}`);
  }
  return findings.every(({ finding }) => finding.ok);
}

async function main() {
  const { values } = parseArgs({
    options: {
      check: { type: 'boolean', default: false },
      undo: { type: 'boolean', default: false },
      needs: { type: 'string', default: 'machine' },
      root: { type: 'string', default: '/' },
      locked: { type: 'boolean', default: false },
    },
  });
  const context = contextFor(values.root);
  const needs = values.needs === 'packages' ? 'packages' : 'machine';
  if (values.check) return (await report(context)) ? 0 : 1;
  if (!values.locked) {
    if (values.undo) return underLock(['--undo', '--root', values.root]);
    const code = await underLock(['--needs', needs]);
    if (code === 0) await report(context);
    return code;
  }
  if (values.undo) await undo(context);
  else await applyAll(needs, context);
  return 0;
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`set-up: ${error.message}\n${error.next}`);
    process.exitCode = 1;
  }
}
