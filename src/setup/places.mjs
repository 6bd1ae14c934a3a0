/** Where set-up finds and puts things. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository, as a URL that ends in a slash. */
export const repository = new URL('../../', import.meta.url);

/**
 * A path in the repository.
 * @param {string} path
 */
export const inRepository = (path) => fileURLToPath(new URL(path, repository));

/**
 * Files of the machine below a root that is `/` except in tests.
 * @param {string} root
 */
export const machineFiles = (root) => ({
  daemonJson: join(root, 'etc/docker/daemon.json'),
  aptSources: join(root, 'etc/apt/sources.list.d'),
  aptKeys: join(root, 'etc/apt/keyrings'),
  osRelease: join(root, 'etc/os-release'),
  state: join(root, 'var/lib/coatcheck/setup.json'),
  dockerLog: join(root, 'var/log/coatcheck-dockerd.log'),
  dockerPid: join(root, 'var/run/docker.pid'),
  containerdPid: join(root, 'var/run/docker/containerd/containerd.pid'),
  dockerSocket: join(root, 'var/run/docker.sock'),
  lock: join(root, 'var/lock/coatcheck-setup.lock'),
});

/** Path of a Node that runs TypeScript: the packaged one, else the running one when it is 24 or newer; null when neither. */
export function node24() {
  const packaged = inRepository(`node_modules/node-linux-${process.arch}/bin/node`);
  if (existsSync(packaged)) return packaged;
  return Number(process.versions.node.split('.')[0]) >= 24 ? process.execPath : null;
}
