/** Doors that were made from the product's own parts with one of its checks left out. */
import { once } from 'node:events';
import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { addressedTunnel, type Inside } from '../../src/door/addressed.ts';
import { createTaskAuthority } from '../../src/door/certificates.ts';
import { answerRaw } from '../../src/door/closing-answer.ts';
import { DOOR_LIMITS, DOOR_TIMINGS, type DoorDecision, type DoorState } from '../../src/door/door.ts';
import { Ledger } from '../../src/door/ledger.ts';
import { Limits, OverloadRows } from '../../src/door/limits.ts';
import { createDecidingServer } from '../../src/door/listener.ts';
import type { DoorConfiguration } from '../../src/door/protocol.ts';
import { openProxy } from '../../src/door/proxy.ts';
import { Refusal } from '../../src/door/refusal.ts';
import { Routes } from '../../src/door/routes.ts';
import { Gatekeeper } from '../../src/door/state.ts';
import { Upstreams } from '../../src/door/upstream.ts';
import type { EgressRule } from '../../src/policy/egress.ts';
import { canaryCredentials, canaryHosts, canaryRules } from '../../src/prove/door-ground.ts';
import type { Outside } from '../../src/prove/outside.ts';

export interface WeakDoor {
  set(state: DoorState): Promise<void>;
  close(): Promise<void>;
}

export type OpenDoor = (configuration: DoorConfiguration, onDecision: (row: DoorDecision) => void) => Promise<WeakDoor>;

/** What `openDoor` tells its process, with the rules altered. */
export function configurationOf(
  directory: string,
  outside: Outside,
  credential: string,
  alter: (rules: EgressRule[]) => EgressRule[],
): DoorConfiguration {
  const rules = alter(canaryRules(outside.web.port));
  return {
    socket: join(directory, 'door.sock'),
    rules,
    gitSocket: null,
    repositories: [],
    github: null,
    credentials: { ...canaryCredentials(credential) },
    limits: DOOR_LIMITS,
    timings: DOOR_TIMINGS,
    authorities: outside.web.authority,
    upstreamProxy: null,
    hosts: canaryHosts(rules),
  };
}

/** The product's door, in this process. */
export const asItIs: OpenDoor = async (configuration, onDecision) => {
  const proxy = await openProxy(configuration, onDecision);
  return {
    set: async (state) => proxy.set(state),
    async close() {
      await proxy.close();
      await rm(configuration.socket, { force: true });
    },
  };
};

/** One that never compares the name in the TLS hello with the tunnel's. */
export const withoutNameCheck: OpenDoor = async (configuration, onDecision) => {
  const authority = await createTaskAuthority();
  const upstreams = new Upstreams(configuration);
  const limits = new Limits(configuration.limits);
  const gatekeeper = new Gatekeeper();
  const ledger = new Ledger(onDecision);
  const routes = new Routes(configuration, upstreams, limits.quota);
  const overload = new OverloadRows(ledger, gatekeeper);
  const parts = { gatekeeper, ledger, routes, limits, overload, timings: configuration.timings };
  const insides = new WeakMap<Duplex, Inside>();
  const inner = createDecidingServer(parts, (socket) => insides.get(socket) ?? null);
  const tunnelInTunnel = new Refusal(405, 'a tunnel inside a tunnel is not possible');
  inner.on('connect', (_, socket) => answerRaw(socket, tunnelInTunnel));
  const server = createDecidingServer(parts, () => null);
  const open = new Set<Duplex>();
  server.prependListener('connection', (socket: Duplex) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  server.on('connect', (request, socket) => {
    socket.on('error', () => socket.destroy());
    try {
      const target = addressedTunnel(request);
      if (routes.connect(gatekeeper.state, target).how !== 'inspect') throw new Refusal(403, 'not inspected');
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      socket.once('data', (bytes: Buffer) => {
        socket.pause();
        if (bytes[0] !== 0x16) return answerRaw(socket, new Refusal(403, 'what came through the tunnel is not TLS'));
        socket.unshift(bytes);
        void authority.contextFor(target.host).then((secureContext) => {
          const secure = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: ['http/1.1'] });
          secure.on('error', () => socket.destroy());
          secure.once('secure', () => {
            // What is left out: `misdirected` is never set.
            insides.set(secure, { ...target, misdirected: null });
            inner.emit('connection', secure);
          });
        });
      });
    } catch (thrown) {
      answerRaw(socket, thrown instanceof Refusal ? thrown : new Refusal(502, String(thrown)));
    }
  });
  server.listen(configuration.socket);
  await once(server, 'listening');
  await chmod(configuration.socket, 0o666);
  return {
    set: async (state) => gatekeeper.set(state),
    async close() {
      server.close();
      for (const socket of open) socket.destroy();
      upstreams.close();
      overload.flush();
      await rm(configuration.socket, { force: true });
    },
  };
};
