import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DOOR_LIMITS, type Door } from '../../src/door/door.ts';
import { openDoor } from '../../src/door/open-door.ts';
import { EgressRule } from '../../src/policy/egress.ts';
import { INSPECTED, type Outside, TUNNELLED } from './outside.ts';
import { below } from './processes.ts';

export interface DoorSide extends AsyncDisposable {
  readonly pid: number;
  readonly socket: string;
  /** PEM. */
  readonly authority: string;
}

/** The product's own door, in its cage, open for set-up, with the same allow list as squid. */
export async function openDoorSide({ directory, port, sinkPort, authority }: Outside, signal: AbortSignal): Promise<DoorSide> {
  const place = join(directory, 'door');
  mkdirSync(place);
  const common = { ports: [port, sinkPort], privateAddresses: ['127.0.0.0/8'] };
  const door: Door = await openDoor({
    directory: place,
    rules: [
      EgressRule.parse({ id: 'inspected', host: INSPECTED, methods: ['GET', 'HEAD', 'POST'], paths: ['/files'], ...common }),
      EgressRule.parse({ id: 'tunnelled', how: 'tunnel', host: TUNNELLED, ...common }),
    ],
    gitSocket: null,
    repositories: [],
    github: null,
    credentials: {},
    // What is measured is its speed, not its caps.
    limits: { ...DOOR_LIMITS, requestsPerSecond: 1e6, bytesUp: 2 ** 50, bytesDown: 2 ** 50 },
    authorities: readFileSync(authority, 'utf8'),
    upstreamProxy: null,
    hosts: { [INSPECTED]: '127.0.0.1', [TUNNELLED]: '127.0.0.1' },
    signal,
    onDecision: () => {},
  });
  await door.set({ phase: 'setup' });
  writeFileSync(join(directory, 'door.pem'), door.authority);
  return {
    pid: below(process.pid, 'src/door/process.ts'),
    socket: door.socket,
    authority: door.authority,
    [Symbol.asyncDispose]: () => door.close(),
  };
}
