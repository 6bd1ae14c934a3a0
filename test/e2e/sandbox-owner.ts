// A process that owns one sandbox and does nothing more: `node sandbox-owner.ts DEPLOYMENT HOST [DISKS]` prints the
// sandbox's id. With a directory for work disks, its work tree is on disk.
import { openDocker } from '../../src/sandbox/docker.ts';
import { MiB, never, SMALL, SOCKET, spec } from './real-sandbox.ts';

const [deployment = '', host = '', disks] = process.argv.slice(2);
const driver = openDocker({ socketPath: SOCKET, owner: { deployment, host }, ...(disks === undefined ? {} : { disks }) });
const onDisk = disks === undefined ? {} : { limits: { ...SMALL, workIn: 'disk' as const, workBytes: 32 * MiB } };
const sandbox = await driver.create(spec(onDisk), never);
process.stdout.write(`${sandbox.id}\n`);
await sandbox.died;
