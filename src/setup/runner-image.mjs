/** The sandbox's image, built from runner-image/ when one of its inputs has changed. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { machineAuthorities } from './authorities.mjs';
import { ensureBase } from './base-image.mjs';
import { run, SetupError } from './command.mjs';
import { engine, imageId } from './engine.mjs';
import { inRepository } from './places.mjs';

const NAME = 'coatcheck-runner';
const LATEST = `${NAME}:latest`;
const INPUTS = ['Dockerfile', 'relay.cfg', 'services.mjs', 'package.json', 'package-lock.json'];
const BUILD_MS = 30 * 60_000;

/**
 * The tag that stands for exactly these inputs.
 * @param {readonly string[]} contents files of runner-image/, in the order of INPUTS
 * @param {readonly string[]} authorities PEM
 */
export function tagOf(contents, authorities) {
  const hash = createHash('sha256').update(JSON.stringify([contents, authorities, process.arch]));
  return `${NAME}:${hash.digest('hex').slice(0, 16)}`;
}

const wantedTag = () =>
  tagOf(
    INPUTS.map((name) => readFileSync(inRepository(`runner-image/${name}`), 'utf8')),
    machineAuthorities(),
  );

/**
 * Lays out the build context: what the Dockerfile copies. Node and npm come from the lock file of runner-image/.
 * @param {string} folder
 */
async function layOut(folder) {
  for (const name of [...INPUTS, '.npmrc']) cpSync(inRepository(`runner-image/${name}`), join(folder, name));
  await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: folder });
  const node = join(folder, 'node_modules', `node-linux-${process.arch}`);
  mkdirSync(join(folder, 'node'));
  for (const part of ['bin', 'include']) renameSync(join(node, part), join(folder, 'node', part));
  renameSync(join(folder, 'node_modules/npm'), join(folder, 'npm'));
  rmSync(join(folder, 'node_modules'), { recursive: true });
  mkdirSync(join(folder, 'authorities'));
  for (const [index, pem] of machineAuthorities().entries()) {
    writeFileSync(join(folder, 'authorities', `machine-${index}.crt`), pem);
  }
}

/**
 * @param {import('./step.mjs').Context} context
 * @param {string} folder
 * @param {string} base
 * @param {string} tag
 */
async function build({ files, say }, folder, base, tag) {
  /** @type {string[]} */
  const log = [];
  let error = '';
  const onLine = (/** @type {unknown} */ line) => {
    if (typeof line !== 'object' || line === null) return;
    if ('error' in line) error = String(line.error);
    if (!('stream' in line) || typeof line.stream !== 'string') return;
    log.push(line.stream);
    const step = /^Step (\d+\/\d+) : ([A-Z]+ .{0,60})/.exec(line.stream);
    if (step !== null && /^(RUN|FROM)/.test(step[2] ?? '')) say(`  image ${step[1]}: ${step[2]}`);
  };
  const query = new URLSearchParams({ t: tag, buildargs: JSON.stringify({ BASE: base }), rm: '1', forcerm: '1' });
  const tar = spawn('tar', ['-C', folder, '--owner=0', '--group=0', '--numeric-owner', '-c', '.'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { status } = await engine(files.dockerSocket, 'POST', `/build?${query}`, {
    body: tar.stdout,
    onLine,
    timeoutMs: BUILD_MS,
  });
  if (status === 200 && error === '') return;
  const tail = log.join('').trim().split('\n').slice(-20).join('\n');
  throw new SetupError(
    `The runner image does not build (${error || status}):\n${tail}`,
    'Repair what it names and run `npm run setup` again.',
  );
}

/** @type {import('./step.mjs').Step} */
export const runnerImage = {
  name: 'runner image',
  needs: 'machine',
  async check({ files }) {
    const tag = wantedTag();
    const [wanted, latest] = await Promise.all([imageId(files.dockerSocket, tag), imageId(files.dockerSocket, LATEST)]);
    if (wanted !== null && wanted === latest) return { ok: true, detail: `${tag} ${wanted.slice(0, 19)}` };
    return { ok: false, missing: `image ${tag}`, command: 'npm run setup' };
  },
  async apply(context) {
    const { files, say, record } = context;
    const tag = wantedTag();
    if ((await imageId(files.dockerSocket, tag)) === null) {
      const base = await ensureBase(context);
      say(`builds ${tag} on ${base}`);
      const folder = mkdtempSync(join(tmpdir(), 'coatcheck-image-'));
      try {
        await layOut(folder);
        record({ deed: 'image', reference: tag });
        await build(context, folder, base, tag);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }
    record({ deed: 'image', reference: LATEST });
    const { status } = await engine(files.dockerSocket, 'POST', `/images/${tag}/tag?repo=${NAME}&tag=latest`);
    if (status !== 201) throw new SetupError(`Docker does not tag ${tag} as ${LATEST} (${status}).`, "Look at the engine's log.");
    say(`${LATEST} is ${(await imageId(files.dockerSocket, tag)) ?? 'unknown'}`);
  },
};
