/**
 * The part of the environment that set-up needs before Node 24 and with it `src/config.ts` can run.
 * These two are the only readers of `process.env` in the product.
 */
import { delimiter, dirname, join } from 'node:path';

/** Bundle of certificate authorities that this machine's Node trusts beyond its own, if any. */
export const extraAuthoritiesFile = () => process.env['NODE_EXTRA_CA_CERTS'] ?? null;

/**
 * The environment of a child, with the folder of `node` first in PATH: whatever it starts by name finds Node 24. Sources
 * without their types are kept beside the packages they are used with: a process starts in two thirds of the time.
 * @param {string} node
 * @param {string} packages the folder of the packages
 * @returns {NodeJS.ProcessEnv}
 */
export function childEnvironment(node, packages) {
  return {
    NODE_COMPILE_CACHE: join(packages, '.cache', 'coatcheck'),
    ...process.env,
    PATH: `${dirname(node)}${delimiter}${process.env['PATH'] ?? '/usr/bin:/bin'}`,
  };
}

/**
 * The environment for package managers: nothing asks questions, messages are in English.
 * @returns {NodeJS.ProcessEnv}
 */
export const quietEnvironment = () => ({ ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' });
