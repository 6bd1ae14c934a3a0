import type http from 'node:http';
import type { IncomingMessage } from 'node:http';
import { isIP, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { errorText } from '../errors.ts';
import { addressedTunnel, type Inside } from './addressed.ts';
import type { TaskAuthority } from './certificates.ts';
import { answerRaw } from './closing-answer.ts';
import type { LedgerRow } from './ledger.ts';
import { asSent, createDecidingServer, endRefused, isMalformed, type Parts, rowOf } from './listener.ts';
import { notTlsText, Refusal } from './refusal.ts';
import type { Addressed } from './routes.ts';
import { openService, openTunnel, type Unopened } from './unopened.ts';
import type { Upstreams } from './upstream.ts';

/** First byte of a TLS handshake record: RFC 8446, section 5.1. */
const HANDSHAKE = 0x16;

/** An established tunnel: what is known of it, and its clock. */
interface Tunnel {
  readonly inside: Inside;
  /** A request began, well-formed or not. */
  begun(): void;
  /** Its answer is complete. */
  answered(): void;
}

/** Serves CONNECT: ends the TLS of tunnels with the task's authority and decides each request inside, or passes on unopened what rules let pass so. */
export class Tunnels {
  readonly #parts: Parts;
  readonly #authority: TaskAuthority;
  readonly #upstreams: Upstreams;
  readonly #insides = new WeakMap<Duplex, Tunnel>();
  readonly #server: http.Server;

  constructor(parts: Parts, authority: TaskAuthority, upstreams: Upstreams) {
    this.#parts = parts;
    this.#upstreams = upstreams;
    this.#authority = authority;
    this.#server = createDecidingServer(parts, (socket) => this.#insides.get(socket)?.inside ?? null);
    this.#server.prependListener('request', (request, response) => {
      const tunnel = this.#insides.get(request.socket);
      tunnel?.begun();
      response.once('finish', () => tunnel?.answered());
    });
    this.#server.prependListener('clientError', (error: NodeJS.ErrnoException, socket) => {
      if (isMalformed(error)) this.#insides.get(socket)?.begun();
    });
    this.#server.on('connect', (request, socket) => {
      const inside = this.#insides.get(socket)?.inside ?? null;
      this.#insides.get(socket)?.begun();
      const refusal = new Refusal(405, 'a tunnel inside a tunnel is not possible');
      endRefused(parts.ledger.open({ ...asSent(request, inside), phase: parts.gatekeeper.state.phase }), refusal);
      answerRaw(socket, refusal);
    });
  }

  /** Serves one CONNECT. */
  open(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { gatekeeper, ledger, limits, overload, routes } = this.#parts;
    const state = gatekeeper.state;
    let row: LedgerRow | null = null;
    socket.on('error', () => socket.destroy());
    try {
      limits.checkRate();
      const target = addressedTunnel(request);
      row = ledger.open({ ...rowOf(this.#parts, target), phase: state.phase });
      const way = routes.connect(state, target);
      if (way.how === 'inspect') this.#establish(target, row, socket, head);
      else if (socket instanceof Socket) this.#passOn({ target, row, client: socket, head, ...way });
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
      if (thrown.status === 503 && row === null) overload.add(thrown);
      else endRefused(row ?? ledger.open({ ...asSent(request, null), phase: state.phase }), thrown);
      answerRaw(socket, thrown);
    }
  }

  /** @throws Refusal */
  #passOn(unopened: Unopened): void {
    unopened.row.takes(unopened.how);
    this.#parts.limits.quota.check();
    if (unopened.how === 'tunnel') openTunnel(this.#parts, this.#upstreams, unopened);
    else openService(this.#parts, this.#upstreams, unopened);
  }

  #establish(target: Addressed, row: LedgerRow, socket: Duplex, head: Buffer): void {
    const { gatekeeper, routes, timings } = this.#parts;
    const { helloMs } = timings;
    const { phase } = gatekeeper.state;
    let requests = 0;
    let end: { verdict: 'refused' | 'failed'; reason: string; status: number | null } = {
      verdict: 'failed',
      reason: 'the tunnel was closed without a request in it',
      status: 200,
    };
    const giveUp = (verdict: 'refused' | 'failed', reason: string, status: number | null = 200) => {
      end = { verdict, reason, status };
      socket.destroy();
    };
    const waiting = () => setTimeout(() => giveUp('failed', 'no request came through the tunnel in time'), helloMs);
    let timer = waiting();
    const begun = () => {
      requests++;
      clearTimeout(timer);
    };
    const answered = () => {
      clearTimeout(timer);
      timer = waiting();
    };
    const forget = gatekeeper.watch({
      // Requests inside are decided one by one: a rule that expires ends them, not the tunnel.
      until: null,
      stillAllowed: (state) => routes.tunnelMayStand(state, target),
      cut: (reason) => giveUp('refused', reason),
    });
    socket.once('close', () => {
      clearTimeout(timer);
      forget();
      // With requests inside, each has a row of its own.
      if (requests === 0) row.end({ ...end, rule: null, address: null });
    });
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
    const first = (bytes: Buffer) => {
      socket.pause();
      if (bytes[0] !== HANDSHAKE) {
        const reason = 'what came through the tunnel is not TLS';
        const refusal = new Refusal(403, reason, { text: notTlsText({ ...target, phase }, reason) });
        endRefused(row, refusal);
        socket.off('end', left);
        answerRaw(socket, refusal);
        return;
      }
      socket.unshift(bytes);
      this.#handshake(target, socket, { begun, answered }, giveUp).catch((error: unknown) =>
        giveUp('failed', `the TLS identity could not be made: ${errorText(error)}`),
      );
    };
    const left = () => socket.destroy(); // half a tunnel is of no use
    socket.once('end', left);
    if (head.length > 0) first(head);
    else socket.once('data', first);
  }

  async #handshake(
    target: Addressed,
    socket: Duplex,
    clock: Omit<Tunnel, 'inside'>,
    giveUp: (verdict: 'failed', reason: string) => void,
  ): Promise<void> {
    const secureContext = await this.#authority.contextFor(target.host);
    if (socket.destroyed) return;
    const secure = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: ['http/1.1'] });
    secure.on('error', (error) => giveUp('failed', `the TLS handshake failed: ${error.message}`));
    secure.once('close', () => socket.destroy());
    secure.once('secure', () => {
      this.#insides.set(secure, { inside: { ...target, misdirected: misdirection(target.host, secure.servername) }, ...clock });
      this.#server.emit('connection', secure);
    });
  }
}

/** The name asked for in TLS has to be the tunnel's; an address is asked for without a name (RFC 6066, section 3). */
function misdirection(host: string, name: unknown): string | null {
  const asked = typeof name === 'string' && name !== '' ? name.toLowerCase() : null;
  if (isIP(host) !== 0) return asked === null ? null : `the TLS name is ${asked} and the tunnel goes to ${host}`;
  if (asked === null) return `the TLS handshake names no host and the tunnel goes to ${host}`;
  return asked === host ? null : `the TLS name is ${asked} and the tunnel goes to ${host}`;
}
