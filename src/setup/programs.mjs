/** Finding programs without asking a shell; /usr/sbin is looked at even where PATH leaves it out. */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

const FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/**
 * @param {string} name
 * @returns {string | null} the path
 */
export function findProgram(name) {
  for (const folder of FOLDERS) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // looked for in the next folder
    }
  }
  return null;
}
