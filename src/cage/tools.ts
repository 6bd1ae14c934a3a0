import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { CoatcheckError } from '../errors.ts';

/** The programs that make a cage, and the Debian package of each. */
const PACKAGE_OF = { bwrap: 'bubblewrap', setpriv: 'util-linux', prlimit: 'util-linux' } as const;

export interface CageTools {
  readonly bwrap: string;
  readonly setpriv: string;
  readonly prlimit: string;
}

/**
 * Finds the programs that make a cage. Fixed system directories only: a PATH that somebody else set has no say in
 * what confines untrusted bytes.
 * @throws CoatcheckError `cage_unavailable` naming the Debian package to install.
 */
export function findCageTools(directories: readonly string[] = ['/usr/bin', '/bin', '/usr/local/bin']): CageTools {
  return { bwrap: find('bwrap', directories), setpriv: find('setpriv', directories), prlimit: find('prlimit', directories) };
}

function find(program: keyof typeof PACKAGE_OF, directories: readonly string[]): string {
  const path = directories.map((directory) => join(directory, program)).find(isExecutable);
  if (path !== undefined) return path;
  throw new CoatcheckError(
    'cage_unavailable',
    `The program ${program} is not installed, so untrusted bytes cannot be handled in a cage.`,
    `Install it: apt-get install ${PACKAGE_OF[program]}`,
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
