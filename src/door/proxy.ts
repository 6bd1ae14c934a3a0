import { once } from 'node:events';
import { chmod } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { createTaskAuthority } from './certificates.ts';
import type { DoorDecision, DoorState } from './door.ts';
import { Ledger } from './ledger.ts';
import { Limits, OverloadRows } from './limits.ts';
import { answerRaw, createDecidingServer } from './listener.ts';
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
  server.prependListener('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    if (open.size <= slots) return;
    const refusal = new Refusal(503, `${slots} connections are open already`);
    overload.add(refusal);
    answerRaw(socket, refusal);
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
      const closing = [...open].map((socket) => once(socket, 'close'));
      for (const socket of open) socket.destroy();
      await Promise.all(closing);
      upstreams.close();
      overload.flush();
    },
  };
}
