// A process that owns one sandbox and does nothing more: `node sandbox-owner.ts DEPLOYMENT HOST` prints the sandbox's id.
import { openDocker } from '../../src/sandbox/docker.ts';
import { never, SOCKET, spec } from './real-sandbox.ts';

const [deployment = '', host = ''] = process.argv.slice(2);
const driver = openDocker({ socketPath: SOCKET, owner: { deployment, host } });
const sandbox = await driver.create(spec(), never);
process.stdout.write(`${sandbox.id}\n`);
await sandbox.died;
