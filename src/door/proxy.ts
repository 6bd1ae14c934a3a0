import { once } from 'node:events';
import { chmod } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { createTaskAuthority } from './certificates.ts';
import type { DoorDecision, DoorState } from './door.ts';
import { Ledger } from './ledger.ts';
import { answerRaw, createDecidingServer, endRefused } from './listener.ts';
import type { DoorConfiguration } from './protocol.ts';
import { Refusal } from './refusal.ts';
import { Routes } from './routes.ts';
import { Gatekeeper } from './state.ts';
import { Tunnels } from './tunnel.ts';
import { Upstreams } from './upstream.ts';

/** Connections of one sandbox at once; the next ones are told 503. */
export const SLOTS = 256;

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
  const parts = { gatekeeper: new Gatekeeper(), ledger: new Ledger(onDecision), routes: new Routes(configuration, upstreams) };
  const tunnels = new Tunnels(parts, authority);
  const server = createDecidingServer(parts, () => null);
  const open = new Set<Duplex>();
  server.prependListener('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    if (open.size <= SLOTS) return;
    const refusal = new Refusal(503, `${SLOTS} connections are open already`);
    const asked = { route: 'egress', method: '', host: '', port: 0, path: '' } as const;
    endRefused(parts.ledger.open({ ...asked, phase: parts.gatekeeper.state.phase }), refusal);
    answerRaw(socket, refusal);
  });
  server.on('connect', (request, socket, head) => tunnels.open(request, socket, head));
  server.listen(configuration.socket);
  await once(server, 'listening');
  // Whoever sees the directory may connect: it is mounted into one sandbox alone.
  await chmod(configuration.socket, 0o666);
  return {
    authority: authority.certificate,
    set: (state) => parts.gatekeeper.set(state),
    async close() {
      server.close();
      parts.gatekeeper.set({ phase: 'shut' });
      const closing = [...open].map((socket) => once(socket, 'close'));
      for (const socket of open) socket.destroy();
      await Promise.all(closing);
      upstreams.close();
    },
  };
}
