/** What the runner image stands on: Debian's image from a registry, or one made here from Debian's packages. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, SetupError } from './command.mjs';
import { aptInstall } from './debian-packages.mjs';
import { engine, imageId } from './engine.mjs';
import { findProgram } from './programs.mjs';

const SUITE = 'bookworm';
const FROM_REGISTRY = { name: 'debian', tag: `${SUITE}-slim` };
const OWN = { name: 'coatcheck-base', tag: SUITE };
const MIRROR = 'http://deb.debian.org/debian';
const SECURITY = 'http://deb.debian.org/debian-security';

/** @param {{ name: string, tag: string }} image */
const reference = ({ name, tag }) => `${name}:${tag}`;

/**
 * Whether the registry gave the image.
 * @param {string} socket
 */
async function pull(socket) {
  let failed = false;
  const path = `/images/create?fromImage=${FROM_REGISTRY.name}&tag=${FROM_REGISTRY.tag}`;
  const onLine = (/** @type {unknown} */ line) => {
    failed ||= typeof line === 'object' && line !== null && 'error' in line;
  };
  try {
    const { status } = await engine(socket, 'POST', path, { onLine, timeoutMs: 60_000 });
    return status === 200 && !failed && (await imageId(socket, reference(FROM_REGISTRY))) !== null;
  } catch {
    return false;
  }
}

/**
 * Makes the base with debootstrap and imports it.
 * @param {import('./step.mjs').Context} context
 */
async function bootstrap(context) {
  const { files, root, say, record } = context;
  if (!root)
    throw new SetupError(
      'No registry answers, and only root can make a base image from packages.',
      'Run `npm run setup` as root.',
    );
  if (findProgram('debootstrap') === null) {
    say('installs debootstrap');
    await aptInstall(context, ['debootstrap']);
  }
  say(`no registry answers: makes ${reference(OWN)} from Debian's packages (about a minute)`);
  const folder = mkdtempSync(join(tmpdir(), 'coatcheck-base-'));
  try {
    await run('debootstrap', ['--variant=minbase', SUITE, folder, MIRROR]);
    const sources = [`${MIRROR} ${SUITE} main`, `${MIRROR} ${SUITE}-updates main`, `${SECURITY} ${SUITE}-security main`];
    writeFileSync(join(folder, 'etc/apt/sources.list'), sources.map((source) => `deb ${source}\n`).join(''));
    rmSync(join(folder, 'etc/resolv.conf'), { force: true });
    rmSync(join(folder, 'var/cache/apt/archives'), { recursive: true, force: true });
    record({ deed: 'image', reference: reference(OWN) });
    const tar = spawn('tar', ['-C', folder, '--numeric-owner', '-c', '.'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const path = `/images/create?fromSrc=-&repo=${OWN.name}&tag=${OWN.tag}`;
    const { status, text } = await engine(files.dockerSocket, 'POST', path, { body: tar.stdout, timeoutMs: 300_000 });
    if (status !== 200) throw new SetupError(`Docker does not take the base image: ${text}`, "Look at the engine's log.");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * A base that the engine has: one that is there already, else from the registry, else our own.
 * @param {import('./step.mjs').Context} context
 * @returns {Promise<string>} its reference
 */
export async function ensureBase(context) {
  const socket = context.files.dockerSocket;
  for (const image of [FROM_REGISTRY, OWN]) {
    if ((await imageId(socket, reference(image))) !== null) return reference(image);
  }
  if (await pull(socket)) {
    context.record({ deed: 'image', reference: reference(FROM_REGISTRY) });
    return reference(FROM_REGISTRY);
  }
  await bootstrap(context);
  return reference(OWN);
}
