import type Docker from 'dockerode';
import { CoatcheckError } from '../errors.ts';
import { RELAY } from './container-options.ts';
import type { Engine } from './engine.ts';
import { NotRunning, openExec } from './exec-channel.ts';
import { frames } from './frames.ts';
import type { SandboxService, SandboxSpec } from './sandbox.ts';
import { MARK_VARIABLE, markArgument } from './witness/marks.ts';

/** In the runner image, from runner-image/services.mjs. */
const PROGRAM = '/usr/local/lib/coatcheck/services.mjs';
const START_MS = 15_000;
/** Far more than it needs; a leak must not eat the task's memory. */
const SCRIPT = `exec /usr/local/bin/node --max-old-space-size=64 ${PROGRAM} "$@"`;

/**
 * Starts the relay for services: it listens on 127.0.0.1 inside and asks the door by name. It runs as the relay's user, so
 * nothing that ends the agent's processes reaches it, and for as long as the sandbox.
 * @param mark by which the kernel's account knows it for ours
 * @throws CoatcheckError `sandbox_services` when a port is taken or named twice, or there is no door.
 */
export async function startServices(
  engine: Engine,
  container: Docker.Container,
  { services, doorDirectory }: Pick<SandboxSpec, 'services' | 'doorDirectory'>,
  mark: string,
): Promise<void> {
  if (services.length === 0) return;
  if (doorDirectory === null) throw failed('A sandbox without a door has no services.');
  const command = ['/bin/sh', '-c', SCRIPT, markArgument(mark), ...services.map(argument)];
  const call = { user: RELAY, command, cwd: '/', env: { [MARK_VARIABLE]: mark }, stdin: false };
  try {
    const { socket } = await openExec(engine, container, call);
    const limit = setTimeout(() => socket.destroy(), START_MS);
    let [said, complained] = ['', ''];
    try {
      for await (const { from, bytes } of frames(socket)) {
        if (from === 'stdout') said += bytes.toString('utf8');
        else complained = (complained + bytes.toString('utf8')).slice(-2000);
        if (said.includes('ready\n')) return;
      }
    } finally {
      clearTimeout(limit);
      socket.destroy();
    }
    throw failed(`The relay for services does not start: ${/Error: .*/.exec(complained)?.[0] ?? 'it says nothing'}.`);
  } catch (thrown) {
    if (thrown instanceof NotRunning) throw failed('The sandbox ended while the relay for services was started.');
    throw thrown;
  }
}

/** IPv6 addresses are written in brackets, as everywhere before a port. */
const argument = ({ listen, host, port }: SandboxService): string =>
  `${listen}=${host.includes(':') ? `[${host}]` : host}:${port}`;

function failed(what: string): CoatcheckError {
  return new CoatcheckError(
    'sandbox_services',
    what,
    'Look at the ports under `listen` in the policy’s service rules: each is used once, and 3128 is taken.',
  );
}
