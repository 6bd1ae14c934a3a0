/** What set-up did to this machine, kept so that `--undo` takes back exactly that. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * @typedef {{ deed: 'node_modules', path: string }
 *   | { deed: 'apt_file', path: string }
 *   | { deed: 'packages', names: string[] }
 *   | { deed: 'mounts', paths: string[] }
 *   | { deed: 'runtime', file: string, created: boolean }
 *   | { deed: 'dockerd', pid: number }
 *   | { deed: 'image', reference: string }} Deed
 */

/**
 * @param {string} file
 * @returns {Deed[]} in the order in which they were done
 */
export function readDeeds(file) {
  try {
    /** @type {{ did: Deed[] }} */
    const state = JSON.parse(readFileSync(file, 'utf8'));
    return state.did;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/**
 * @param {string} file
 * @param {readonly Deed[]} did
 */
export function writeDeeds(file, did) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, `${JSON.stringify({ did }, null, 2)}\n`);
  renameSync(`${file}.new`, file);
}

/**
 * Adds one deed, once.
 * @param {string} file
 * @param {Deed} deed
 */
export function addDeed(file, deed) {
  const did = readDeeds(file);
  if (did.some((one) => JSON.stringify(one) === JSON.stringify(deed))) return;
  writeDeeds(file, [...did, deed]);
}
