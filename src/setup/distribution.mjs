/** What the parts are called where. */
import { readFileSync } from 'node:fs';

/**
 * @typedef {object} Distribution
 * @property {string} name
 * @property {boolean} tested
 * @property {{ suite: string, uri: string, keyring: string } | null} backports where a runsc that is young enough comes from
 */

/** @type {Record<string, Distribution>} */
const KNOWN = {
  'debian 12': {
    name: 'Debian 12',
    tested: true,
    // Debian 12's own runsc is of 2022 and does not start on recent kernels.
    backports: {
      suite: 'bookworm-backports',
      uri: 'http://deb.debian.org/debian',
      keyring: '/usr/share/keyrings/debian-archive-keyring.gpg',
    },
  },
  'debian 13': { name: 'Debian 13', tested: false, backports: null },
  'ubuntu 22.04': { name: 'Ubuntu 22.04', tested: false, backports: null },
  'ubuntu 24.04': { name: 'Ubuntu 24.04', tested: false, backports: null },
};

/** Package → programs that it brings; one is missing when any of its programs is. The names are the same on all of the above. */
export const PROGRAMS = /** @type {const} */ ({
  'docker.io': ['dockerd'],
  'redis-server': ['redis-server'],
  runsc: ['runsc'],
  bubblewrap: ['bwrap'],
  git: ['git'],
  'util-linux': ['setpriv', 'prlimit', 'flock', 'fallocate'],
  // Work trees on disk: limits.work_in in the policy.
  e2fsprogs: ['mkfs.ext4'],
  mount: ['mount', 'umount'],
});

/**
 * @param {string} osRelease path of os-release
 * @returns {Distribution | null} null when this is a system we know nothing about
 */
export function distribution(osRelease) {
  let text = '';
  try {
    text = readFileSync(osRelease, 'utf8');
  } catch {
    return null;
  }
  const field = (/** @type {string} */ key) => new RegExp(`^${key}="?([^"\n]*)"?$`, 'm').exec(text)?.[1] ?? '';
  return KNOWN[`${field('ID')} ${field('VERSION_ID')}`] ?? null;
}
