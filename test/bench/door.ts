import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { NetConnectOpts } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bench, Finding, Row } from './bench.ts';
import { bulk, open, type Route, small } from './client.ts';
import { openDoorSide } from './door-side.ts';
import { type Comparison, interleaved, quantile, type Side } from './measure.ts';
import { INSPECTED, openOutside, TUNNELLED } from './outside.ts';
import { forgetPeak, peakMiB, processorSeconds, tree } from './processes.ts';
import { find, version } from './programs.ts';
import { openRelay } from './relay.ts';
import { openSquid } from './squid.ts';

const MiB = 1024 * 1024;
const PROGRAMS = { squid: 'squid-openssl', nginx: 'nginx-light', haproxy: 'haproxy', curl: 'curl', openssl: 'openssl' };
const FULL = { bytes: 512 * MiB, upBytes: 64 * MiB, rounds: 5, requests: 2000, connections: 200 };
const QUICK = { bytes: 64 * MiB, upBytes: 16 * MiB, rounds: 2, requests: 200, connections: 30 };

/** One of the two proxies, and how it is reached. */
interface Proxy {
  readonly name: string;
  readonly pid: number;
  /** As its clients reach it without anything between. */
  readonly at: NetConnectOpts;
  /** The runner image's relay in front of it. */
  readonly relayPort: number;
  readonly authority: string;
  readonly authorityFile: string;
}

interface Scene {
  readonly port: number;
  readonly sinkPort: number;
  readonly outside: string;
  readonly outsideFile: string;
  /** The file that is posted. */
  readonly posted: string;
}

/** Of one bulk run, until it is given up. */
const TRIES = 40;

type Amounts = typeof FULL;

export const door: Bench = {
  about: "the door beside Debian's squid under the same allow list: bulk throughput, added latency, memory",

  lacks() {
    const missing = Object.entries(PROGRAMS).filter(([program]) => find(program) === null);
    const packages = missing.map(([, name]) => name).join(' ');
    return missing.length === 0 ? null : `Install it as root: apt-get install --no-install-recommends ${packages}`;
  },

  async run({ quick, only, signal }): Promise<Finding> {
    const amounts = quick ? QUICK : FULL;
    const directory = mkdtempSync(join(tmpdir(), 'coatcheck-bench-'));
    try {
      await using outside = await openOutside(directory, amounts.bytes, amounts.upBytes);
      await using squid = await openSquid(outside);
      await using own = await openDoorSide(outside, signal);
      await using squidRelay = await openRelay(directory, 'squid-relay', `127.0.0.1:${squid.port}`);
      await using doorRelay = await openRelay(directory, 'door-relay', `unix@${own.socket}`);
      const proxies: [Proxy, Proxy] = [
        {
          name: 'door',
          pid: own.pid,
          at: { path: own.socket },
          relayPort: doorRelay.port,
          authority: own.authority,
          authorityFile: join(directory, 'door.pem'),
        },
        {
          name: 'squid',
          pid: squid.pid,
          at: { port: squid.port, host: '127.0.0.1' },
          relayPort: squidRelay.port,
          authority: squid.authority,
          authorityFile: join(directory, 'squid.pem'),
        },
      ];
      const scene: Scene = {
        port: outside.port,
        sinkPort: outside.sinkPort,
        outside: readFileSync(outside.authority, 'utf8'),
        outsideFile: outside.authority,
        posted: join(directory, 'files/posted'),
      };
      const found = await rows(proxies, scene, amounts, only, signal);
      return { sides: ['door', 'squid'], ...found, missed: [] };
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

async function rows(
  proxies: readonly [Proxy, Proxy],
  scene: Scene,
  amounts: Amounts,
  only: string,
  signal: AbortSignal,
): Promise<Pick<Finding, 'rows' | 'notes'>> {
  const found: Row[] = [];
  const broken: Record<string, number> = {};
  const compare = async <Name extends string>(
    workload: string,
    measures: Record<Name, readonly [unit: string, better: 'higher' | 'lower']>,
    run: (proxy: Proxy) => Promise<Record<Name, number>>,
  ) => {
    if (!workload.includes(only)) return;
    const side = (proxy: Proxy): Side<Name> => ({ name: proxy.name, run: () => run(proxy) });
    const compared: Record<Name, Comparison> = await interleaved(side(proxies[0]), side(proxies[1]), amounts.rounds, signal);
    for (const measure in measures) {
      const [unit, better] = measures[measure];
      found.push({ workload, measure, unit, better, ...compared[measure] });
    }
  };
  // squid 5.7 breaks inspected uploads off half-way, the oftener the longer they are: such a run is taken again, and said.
  const again = async <T>({ name }: Proxy, run: () => Promise<T>): Promise<T> => {
    for (let left = TRIES; ; left--) {
      try {
        return await run();
      } catch (error) {
        if (left === 1 || signal.aborted) throw error;
        broken[name] = (broken[name] ?? 0) + 1;
      }
    }
  };
  for (const host of [INSPECTED, TUNNELLED]) {
    const how = host === INSPECTED ? 'inspect' : 'tunnel';
    const bulkMeasures = {
      throughput: ['MiB/s', 'higher'],
      'processor time': ['s/GiB', 'lower'],
      'peak memory': ['MiB resident', 'lower'],
    } as const;
    await compare(`${how}: bulk down`, bulkMeasures, (proxy) =>
      again(proxy, () => moved(proxy, { host, port: scene.port }, scene, { down: '/files/large', bytes: amounts.bytes }, signal)),
    );
    await compare(`${how}: bulk up`, bulkMeasures, (proxy) =>
      again(proxy, () =>
        moved(proxy, { host, port: scene.sinkPort }, scene, { up: scene.posted, bytes: amounts.upBytes }, signal),
      ),
    );
    const route = (proxy: Proxy): Route => ({
      proxy: proxy.at,
      host,
      port: scene.port,
      authority: host === INSPECTED ? proxy.authority : scene.outside,
    });
    const direct: Route = { proxy: null, host, port: scene.port, authority: scene.outside };
    const latency = {
      p50: ['ms', 'lower'],
      p99: ['ms', 'lower'],
      'p50 added': ['ms', 'lower'],
      'p99 added': ['ms', 'lower'],
      'processor time': ['ms each', 'lower'],
    } as const;
    await compare(`${how}: request, connection kept`, latency, async (proxy) =>
      timed(proxy, amounts.requests, () => kept(route(proxy), amounts.requests), await kept(direct, amounts.requests)),
    );
    await compare(`${how}: request, connection new`, latency, async (proxy) =>
      timed(proxy, amounts.connections, () => fresh(route(proxy), amounts.connections), await fresh(direct, amounts.connections)),
    );
  }
  const breaks = Object.entries(broken).map(([name, times]) => `${name} broke ${times} bulk runs off; they were run again.`);
  return { rows: found, notes: [...notes(amounts), ...breaks] };
}

async function moved(
  proxy: Proxy,
  to: { readonly host: string; readonly port: number },
  scene: Scene,
  way: Parameters<typeof bulk>[1],
  signal: AbortSignal,
) {
  const authorityFile = to.host === INSPECTED ? proxy.authorityFile : scene.outsideFile;
  const pids = tree(proxy.pid);
  forgetPeak(pids);
  const before = processorSeconds(pids);
  const throughput = await bulk({ ...to, proxyPort: proxy.relayPort, authorityFile }, way, signal);
  const seconds = processorSeconds(pids) - before;
  return { throughput, 'processor time': (seconds * 1024 * MiB) / way.bytes, 'peak memory': peakMiB(pids) };
}

async function kept(route: Route, requests: number): Promise<number[]> {
  const connection = await open(route);
  const times: number[] = [];
  for (let request = 0; request < requests; request++) times.push(await small(connection, route));
  connection.destroy();
  return times;
}

async function fresh(route: Route, connections: number): Promise<number[]> {
  const times: number[] = [];
  for (let request = 0; request < connections; request++) {
    const start = performance.now();
    const connection = await open(route);
    await small(connection, route);
    times.push(performance.now() - start);
    connection.destroy();
  }
  return times;
}

/** `added` is what the same requests take longer than without a proxy; about nothing at all, its ratio says nothing. */
async function timed(proxy: Proxy, count: number, run: () => Promise<number[]>, direct: readonly number[]) {
  const pids = tree(proxy.pid);
  const before = processorSeconds(pids);
  const through = await run();
  const seconds = processorSeconds(pids) - before;
  const at = (place: number) => quantile(through, place);
  return {
    p50: at(0.5),
    p99: at(0.99),
    'p50 added': at(0.5) - quantile(direct, 0.5),
    'p99 added': at(0.99) - quantile(direct, 0.99),
    'processor time': (seconds * 1000) / count,
  };
}

const notes = ({ bytes, upBytes, requests, connections }: Amounts): string[] => [
  `Bulk: curl, the runner image's relay (haproxy, for both), the proxy, and nginx (down) or Node (up); ${bytes / MiB} MiB down and ${upBytes / MiB} MiB up a run. Processor time and memory are the proxy's alone.`,
  `Requests: ${requests} for 1 KiB on one connection, ${connections} each on a new one, one after another, on the door's Unix socket and on squid's TCP port; "added" is that less what the same takes without a proxy.`,
  `inspect: both end TLS with P-256 certificates. tunnel: both read the name in the handshake and open nothing. Nothing is cached; both log every request.`,
  `${version('squid-openssl')}, ${version('nginx-light')}, ${version('haproxy')}, ${version('curl')}.`,
];
