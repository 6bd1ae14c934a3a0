import { once } from 'node:events';
import { chmod } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { createTaskAuthority } from './certificates.ts';
import { answerRaw } from './closing-answer.ts';
import type { DoorDecision, DoorState } from './door.ts';
import { Ledger } from './ledger.ts';
import { Limits, OverloadRows } from './limits.ts';
import { createDecidingServer } from './listener.ts';
import type { DoorConfiguration } from './protocol.ts';
import { Refusal } from './refusal.ts';
import { Routes } from './routes.ts';
import { Gatekeeper } from './state.ts';
import { Tunnels } from './tunnel.ts';
import { Upstreams } from './upstream.ts';

export interface Proxy {
  readonly authority: string;
  set(state: DoorState): void;
  /** Cuts everything; resolves after the last row was written. */
  close(): Promise<void>;
}

/** Opens the proxy on its Unix socket. It starts shut. */
export async function openProxy(configuration: DoorConfiguration, onDecision: (decision: DoorDecision) => void): Promise<Proxy> {
  const authority = await createTaskAuthority();
  const upstreams = new Upstreams(configuration);
  const { slots } = configuration.limits;
  const limits = new Limits(configuration.limits);
  const gatekeeper = new Gatekeeper();
  const ledger = new Ledger(onDecision);
  const overload = new OverloadRows(ledger, gatekeeper);
  const routes = new Routes(configuration, upstreams, limits.quota);
  const parts = { gatekeeper, ledger, routes, limits, overload, timings: configuration.timings };
  const tunnels = new Tunnels(parts, authority, upstreams);
  const server = createDecidingServer(parts, () => null);
  const open = new Set<Duplex>();
  const refused = new Set<Duplex>();
  // Only what has a slot is given to the server, so that what it reads is nobody's.
  const read = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Duplex) => {
    const within = open.size < slots ? open : refused;
    within.add(socket);
    socket.once('close', () => within.delete(socket));
    if (within === open) {
      for (const listener of read) listener.call(server, socket);
      return;
    }
    socket.on('error', () => {}); // its close is enough
    const refusal = new Refusal(503, `${slots} connections are open already`);
    overload.add(refusal);
    answerRaw(socket, refusal);
    // So many are waited for until they have read it.
    if (refused.size > slots) socket.once('finish', () => socket.destroy());
  });
  server.on('connect', (request, socket, head) => tunnels.open(request, socket, head));
  server.listen(configuration.socket);
  await once(server, 'listening');
  // Whoever sees the directory may connect: it is mounted into one sandbox alone.
  await chmod(configuration.socket, 0o666);
  return {
    authority: authority.certificate,
    set: (state) => gatekeeper.set(state),
    async close() {
      server.close();
      gatekeeper.set({ phase: 'shut' });
      const left = [...open, ...refused];
      const closing = left.map((socket) => once(socket, 'close'));
      for (const socket of left) socket.destroy();
      await Promise.all(closing);
      upstreams.close();
      overload.flush();
    },
  };
}
