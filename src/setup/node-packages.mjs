/** Node packages from the lock file, Node 24 among them. */
import { readFileSync } from 'node:fs';
import { run } from './command.mjs';
import { inRepository, node24 } from './places.mjs';

/** @typedef {{ packages: Record<string, { version?: string, integrity?: string, optional?: boolean }> }} LockFile */

/**
 * The first package that the lock file wants and the installed tree does not have so; null when all is there.
 * @param {LockFile} wanted
 * @param {LockFile} installed npm's own account of node_modules, written at the end of an install
 */
export function firstDifference(wanted, installed) {
  for (const [path, entry] of Object.entries(wanted.packages)) {
    if (path === '') continue;
    const there = installed.packages[path];
    if (there === undefined) {
      // Optional packages for other processors and systems are left out by npm.
      if (entry.optional === true) continue;
      return path;
    }
    if (there.version !== entry.version || there.integrity !== entry.integrity) return path;
  }
  return null;
}

/**
 * @param {string} path
 * @returns {LockFile | null}
 */
function readLock(path) {
  try {
    return JSON.parse(readFileSync(inRepository(path), 'utf8'));
  } catch {
    return null;
  }
}

/** @type {import('./step.mjs').Step} */
export const nodePackages = {
  name: 'Node packages',
  needs: 'packages',
  async check() {
    const command = `cd ${inRepository('.')} && npm ci`;
    const wanted = readLock('package-lock.json');
    if (wanted === null) return { ok: false, missing: 'package-lock.json', command: 'git checkout -- package-lock.json' };
    const installed = readLock('node_modules/.package-lock.json');
    if (installed === null) return { ok: false, missing: 'node_modules', command };
    const difference = firstDifference(wanted, installed);
    if (difference !== null) return { ok: false, missing: `${difference} as the lock file has it`, command };
    const node = node24();
    if (node === null)
      return { ok: false, missing: `Node 24 for ${process.arch}`, command: 'install Node 24 or newer from your system' };
    return { ok: true, detail: `as in package-lock.json; Node at ${node}` };
  },
  async apply({ say, record }) {
    say('installs the Node packages of package-lock.json (npm ci)');
    record({ deed: 'node_modules', path: inRepository('node_modules') });
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: inRepository('.') });
  },
};
