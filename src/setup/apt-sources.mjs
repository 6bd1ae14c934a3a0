/** Where a runsc that is young enough comes from: gVisor's own signed source where it answers, else backports. */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './command.mjs';
import { inRepository } from './places.mjs';

/** https://gvisor.dev/docs/user_guide/install/#install-from-an-apt-repository */
const GVISOR = 'https://storage.googleapis.com/gvisor/releases';

/** Whether apt itself, with its own proxies and authorities, reaches gVisor's source. */
async function gvisorAnswers() {
  const folder = mkdtempSync(join(tmpdir(), 'coatcheck-apt-'));
  try {
    const args = ['-o', 'Acquire::Retries=0', '-o', 'Acquire::https::Timeout=8', 'download-file'];
    const target = join(folder, 'InRelease');
    const helper = '/usr/lib/apt/apt-helper';
    const { code } = await run(helper, [...args, `${GVISOR}/dists/release/InRelease`, target], {
      allowFailure: true,
      timeoutMs: 20_000,
    });
    return code === 0;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @param {string} folder */
function namesIn(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/**
 * Whether any source file of the machine names a suite already.
 * @param {string} folder
 * @param {string} suite
 */
export function hasSuite(folder, suite) {
  const files = [join(folder, '../sources.list'), ...namesIn(folder).map((name) => join(folder, name))];
  return files.some((file) => {
    try {
      return readFileSync(file, 'utf8')
        .split('\n')
        .some((line) => !line.trimStart().startsWith('#') && line.includes(suite));
    } catch {
      return false;
    }
  });
}

/**
 * @param {import('./step.mjs').Context} context
 * @param {string} name
 * @param {{ uri: string, suite: string, keyring: string }} source
 */
function writeSource({ files, record, say }, name, { uri, suite, keyring }) {
  const path = join(files.aptSources, name);
  record({ deed: 'apt_file', path });
  mkdirSync(files.aptSources, { recursive: true });
  writeFileSync(path, `Types: deb\nURIs: ${uri}\nSuites: ${suite}\nComponents: main\nSigned-By: ${keyring}\n`);
  say(`adds the apt source ${path}`);
}

/**
 * Makes sure that apt has a source with a usable runsc.
 * @param {import('./step.mjs').Context} context
 * @param {import('./distribution.mjs').Distribution} system
 * @returns {Promise<string>} what to tell `apt-get install`, so that it takes runsc from there and nothing else
 */
export async function addRunscSource(context, system) {
  const { files, record } = context;
  if (await gvisorAnswers()) {
    const key = join(files.aptKeys, 'coatcheck-gvisor.asc');
    record({ deed: 'apt_file', path: key });
    mkdirSync(files.aptKeys, { recursive: true });
    copyFileSync(inRepository('src/setup/apt/gvisor-archive.asc'), key);
    writeSource(context, 'coatcheck-gvisor.sources', { uri: GVISOR, suite: 'release', keyring: key });
    return 'runsc';
  }
  if (system.backports === null) return 'runsc';
  const { suite } = system.backports;
  if (!hasSuite(files.aptSources, suite)) writeSource(context, 'coatcheck-backports.sources', system.backports);
  return `runsc/${suite}`;
}
