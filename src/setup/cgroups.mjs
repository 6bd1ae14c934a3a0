/** The control-group hierarchy that Docker limits memory and processors with; a bare machine without an init lacks it. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, SetupError } from './command.mjs';

const CGROUPS = '/sys/fs/cgroup';

/**
 * Whether a mount table has a hierarchy that Docker can use: version 2, or version 1 with memory and devices.
 * @param {string} mounts content of /proc/mounts
 */
export function hasCgroups(mounts) {
  const entries = mounts.split('\n').map((line) => line.split(' '));
  if (entries.some(([, path, type]) => path === CGROUPS && type === 'cgroup2')) return true;
  const v1 = entries.flatMap(([, , type, options]) => (type === 'cgroup' && options !== undefined ? options.split(',') : []));
  return ['memory', 'devices'].every((controller) => v1.includes(controller));
}

/**
 * Controllers of version 1 that this kernel has, by its /proc/cgroups.
 * @param {string} text
 */
export function enabledControllers(text) {
  return text.split('\n').flatMap((line) => {
    const [name, , , enabled] = line.split('\t');
    return name !== undefined && !name.startsWith('#') && enabled === '1' ? [name] : [];
  });
}

/**
 * Mounts what is missing: version 2 where the kernel gives memory to it, else version 1, one folder for each controller.
 * @param {Pick<import('./step.mjs').Context, 'say' | 'record'>} context
 */
export async function ensureCgroups({ say, record }) {
  if (hasCgroups(readFileSync('/proc/mounts', 'utf8'))) return;
  record({ deed: 'mounts', paths: [CGROUPS] });
  const { code } = await run('mount', ['-t', 'cgroup2', 'cgroup2', CGROUPS], { allowFailure: true });
  if (code === 0) {
    if (readFileSync(join(CGROUPS, 'cgroup.controllers'), 'utf8').split(/\s/).includes('memory')) {
      say(`mounted the control groups (version 2) at ${CGROUPS}`);
      return;
    }
    await run('umount', [CGROUPS]);
  }
  await run('mount', ['-t', 'tmpfs', '-o', 'uid=0,gid=0,mode=0755', 'cgroup', CGROUPS]);
  for (const controller of enabledControllers(readFileSync('/proc/cgroups', 'utf8'))) {
    const path = join(CGROUPS, controller);
    mkdirSync(path);
    await run('mount', ['-t', 'cgroup', '-o', controller, 'cgroup', path], { allowFailure: true });
  }
  if (!hasCgroups(readFileSync('/proc/mounts', 'utf8'))) {
    throw new SetupError(
      'The control groups that Docker needs cannot be mounted.',
      'This kernel or container withholds them; run on a machine of its own.',
    );
  }
  say(`mounted the control groups (version 1) at ${CGROUPS}`);
}
