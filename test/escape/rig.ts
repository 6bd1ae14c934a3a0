import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseOperatorConfig } from '../../src/policy/operator-config.ts';
import { type Ground, openGround } from '../../src/prove/ground.ts';
import { type InsideGround, lookInside, RELAY_PORT } from '../../src/prove/inside-ground.ts';
import type { Outside } from '../../src/prove/outside.ts';
import type { Teardown } from './cases.ts';
import { DOCKER_SOCKET } from './docker.ts';
import { EngineSandbox } from './engine-sandbox.ts';

/** The default policy with the limits of a small machine: what is enforced is the same. */
const SMALL = 'memory: 640 MiB\n  work_disk: 256 MiB\n  tmp_disk: 64 MiB\n  processes: 96\n  open_files: 512\n';

export const OPERATOR = parseOperatorConfig(
  readFileSync(new URL('../../policies/default.yaml', import.meta.url), 'utf8').replace(
    /^limits:\n[\s\S]*?\n(?=\S)/m,
    `limits:\n  ${SMALL}\n`,
  ),
  'policies/default.yaml',
);

/** The product's own sandbox and door, as `prove` opens them. */
export async function guarded(t: Teardown): Promise<Ground> {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'coatcheck-escape-'));
  t.after(() => rmSync(dataDirectory, { recursive: true, force: true }));
  const ground = await openGround({
    operator: OPERATOR,
    dockerSocket: DOCKER_SOCKET,
    dataDirectory,
    signal: new AbortController().signal,
  });
  t.after(() => ground.close());
  return ground;
}

/** Twins of the product's sandbox without its guards; they show which attempts a kernel would let through. */
export async function twins(t: Teardown, outside: Outside): Promise<InsideGround[]> {
  const secrets = { credential: `canary-${randomBytes(18).toString('hex')}` };
  const look = async (starting: Promise<EngineSandbox>) =>
    lookInside({ sandbox: await starting, outside, secrets, listens: [RELAY_PORT] });
  return Promise.all([look(privileged(t, outside, secrets.credential)), look(onHostNetwork(t))]);
}

/** Root under runc on a bridge, with what a kernel gives to root, beside Docker's socket and with a secret in reach. */
async function privileged(t: Teardown, outside: Outside, secret: string): Promise<EngineSandbox> {
  const door = mkdtempSync(join(tmpdir(), 'coatcheck-twin-'));
  t.after(() => rmSync(door, { recursive: true, force: true }));
  mkdirSync(join(door, 'trust'));
  const sockets = ['/run/containerd/containerd.sock', '/run/crio/crio.sock', '/run/dbus/system_bus_socket', '/run/user/1000/bus'];
  const sandbox = await EngineSandbox.start(t, {
    Image: OPERATOR.images.default,
    User: '0:0',
    WorkingDir: '/',
    Env: [`CANARY_TOKEN=${secret}`],
    HostConfig: {
      Runtime: 'runc',
      NetworkMode: 'bridge',
      CapAdd: [
        ...['SYS_ADMIN', 'SYS_PTRACE', 'SYS_MODULE', 'SYS_BOOT', 'NET_ADMIN', 'SYS_RAWIO', 'MKNOD', 'DAC_READ_SEARCH'],
        ...['SYS_TIME', 'SYS_PACCT', 'SYSLOG'],
      ],
      SecurityOpt: ['seccomp=unconfined', 'apparmor=unconfined'],
      MaskedPaths: [],
      ReadonlyPaths: [],
      DeviceCgroupRules: ['a *:* rwm'],
      Memory: 1024 ** 3,
      PidsLimit: 2000,
      Binds: [
        `${DOCKER_SOCKET}:${DOCKER_SOCKET}`,
        `${door}:/run/coatcheck`,
        `${join(door, 'trust')}:/run/trust`,
        ...[outside.socket, ...sockets].map((place) => `${outside.socket}:${place}`),
        `${outside.file}:${outside.file}`,
      ],
    },
  });
  const token = `ghp_${'x'.repeat(36)}`;
  await sandbox.run([
    '/bin/bash',
    '-c',
    `touch /run/coatcheck/door.sock /run/trust/authorities.pem; echo "machine x login y password ${token} ${secret}" > /root/.netrc
    (exec -a "${secret}" sleep 300) > /dev/null 2>&1 < /dev/null &`,
  ]);
  return sandbox;
}

/** On the host's own network, without a privilege that could change it. */
function onHostNetwork(t: Teardown): Promise<EngineSandbox> {
  const HostConfig = { Runtime: 'runc', NetworkMode: 'host', CapDrop: ['NET_ADMIN'], Memory: 512 * 1024 ** 2, PidsLimit: 500 };
  return EngineSandbox.start(t, { Image: OPERATOR.images.default, User: '0:0', WorkingDir: '/', HostConfig });
}
