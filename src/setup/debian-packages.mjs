/** Docker, Redis, gVisor and the tools of the cage, from the distribution's packages. */

import { addRunscSource, hasSuite } from './apt-sources.mjs';
import { run, SetupError } from './command.mjs';
import { distribution, PROGRAMS } from './distribution.mjs';
import { findProgram } from './programs.mjs';
import { runscAge } from './runsc-version.mjs';

/** Older builds of runsc than this do not run on current kernels (Debian 12's own of December 2022 does not). */
const OLDEST_RUNSC = new Date('2023-06-01T00:00:00Z');

/** Packages of which a program is missing or too old to work. */
async function missingPackages() {
  const missing = Object.entries(PROGRAMS)
    .filter(([, programs]) => programs.some((program) => findProgram(program) === null))
    .map(([name]) => name);
  const runsc = missing.includes('runsc') ? null : await runscAge();
  if (runsc !== null && runsc.released < OLDEST_RUNSC) missing.push('runsc');
  return missing;
}

/**
 * The commands that a person would type.
 * @param {import('./step.mjs').Context} context
 * @param {import('./distribution.mjs').Distribution} system
 * @param {readonly string[]} names
 */
function installCommand({ files }, { backports }, names) {
  const fromBackports = names.includes('runsc') ? backports : null;
  const packages = names.map((name) => (name === 'runsc' && fromBackports !== null ? `${name}/${fromBackports.suite}` : name));
  const install = `apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  if (fromBackports === null || hasSuite(files.aptSources, fromBackports.suite)) return install;
  const line = `deb [signed-by=${fromBackports.keyring}] ${fromBackports.uri} ${fromBackports.suite} main`;
  return `echo '${line}' > ${files.aptSources}/backports.list && ${install}`;
}

/** Names of all installed packages. */
async function installedPackages() {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own format
  const { stdout } = await run('dpkg-query', ['-W', '-f', '${db:Status-Abbrev}${Package}\n']);
  return new Set(stdout.split('\n').flatMap((line) => (line.startsWith('ii ') ? [line.slice(3).trim()] : [])));
}

/**
 * Installs packages by apt and records every package that was not there before, dependencies too.
 * @param {import('./step.mjs').Context} context
 * @param {readonly string[]} args further arguments, package names included
 */
export async function aptInstall({ record }, args) {
  const before = await installedPackages();
  try {
    await run('apt-get', ['install', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300', ...args]);
  } finally {
    const added = [...(await installedPackages())].filter((name) => !before.has(name));
    if (added.length > 0) record({ deed: 'packages', names: added });
  }
}

/** @type {import('./step.mjs').Step} */
export const debianPackages = {
  name: 'system packages',
  needs: 'machine',
  async check(context) {
    const missing = await missingPackages();
    if (missing.length === 0) {
      const runsc = await runscAge();
      return { ok: true, detail: runsc === null ? 'all there' : `all there; runsc ${runsc.version}, ${runsc.ageDays} days old` };
    }
    const system = distribution(context.files.osRelease);
    const command =
      system === null ? `install what your system calls ${missing.join(', ')}` : installCommand(context, system, missing);
    return { ok: false, missing: missing.join(', '), command };
  },
  async apply(context) {
    const missing = await missingPackages();
    const system = distribution(context.files.osRelease);
    if (system === null || findProgram('apt-get') === null) {
      throw new SetupError(
        `This system is not one whose packages set-up knows; missing: ${missing.join(', ')}.`,
        "Install them by your system's means (gVisor: https://gvisor.dev/docs/user_guide/install/) and run this again.",
      );
    }
    if (!context.root) {
      throw new SetupError(
        `Missing and to be installed by root: ${missing.join(', ')}.`,
        `Run: ${installCommand(context, system, missing)}`,
      );
    }
    context.say(`installs ${missing.join(', ')}${system.tested ? '' : ` (${system.name}: untested)`}`);
    const runsc = missing.includes('runsc') ? [await addRunscSource(context, system)] : [];
    // A source that fails for reasons of its own does not matter when the install succeeds.
    await run('apt-get', ['update', '-q'], { allowFailure: true });
    await aptInstall(context, [...missing.filter((name) => name !== 'runsc'), ...runsc]);
  },
};
