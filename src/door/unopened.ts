import { isIP, type Socket } from 'node:net';
import { inForce, type ServiceRule, type TunnelRule } from '../policy/egress.ts';
import { HELLO_LIMIT, readClientHello } from './client-hello.ts';
import { answerRaw } from './closing-answer.ts';
import type { LedgerRow } from './ledger.ts';
import type { Parts } from './listener.ts';
import { notTlsText, Refusal } from './refusal.ts';
import { type Addressed, expiryOf } from './routes.ts';
import { splice } from './splice.ts';
import type { Upstreams } from './upstream.ts';

/** A CONNECT that a rule lets pass without being opened. */
export type Unopened = {
  readonly target: Addressed;
  readonly row: LedgerRow;
  readonly client: Socket;
  /** What the client sent right behind its CONNECT. */
  readonly head: Buffer;
} & ({ readonly how: 'tunnel'; readonly rule: TunnelRule } | { readonly how: 'service'; readonly rule: ServiceRule });

/** Given by name, because an abort without a reason makes an error with a stack trace of each tunnel's end. */
const GONE = 'the connection is closed';
const ESTABLISHED = 'HTTP/1.1 200 Connection Established\r\n\r\n';

/** Passes TLS on once the name in its hello has been found to be the tunnel's. Nothing is dialled before. */
export function openTunnel(parts: Parts, upstreams: Upstreams, unopened: Unopened): void {
  const { client, head, row, target } = unopened;
  const passing = new Passing(parts, unopened);
  client.write(ESTABLISHED);
  passing.run(async (signal) => {
    const hello = await checkedHello(parts, target, client, head, signal);
    row.resolver = upstreams.resolverOf(target.host);
    const upstream = await upstreams.dial(unopened.rule, target, signal);
    passing.join(
      upstream,
      hello,
      `allowed by the name ${isIP(target.host) === 0 ? target.host : 'of its address'}, not verified inside`,
    );
  });
}

/** Passes anything on to a service. The client hears that it stands once it does. */
export function openService(parts: Parts, upstreams: Upstreams, unopened: Unopened): void {
  const { client, head, row, target } = unopened;
  const passing = new Passing(parts, unopened);
  passing.run(async (signal) => {
    row.resolver = upstreams.resolverOf(target.host);
    const upstream = await upstreams.dial(unopened.rule, target, signal);
    client.write(ESTABLISHED);
    passing.join(upstream, head, 'allowed, not verified inside');
  });
}

/** One connection on its way: its row, its clock, and what may cut it. */
class Passing {
  readonly #parts: Parts;
  readonly #unopened: Unopened;
  readonly #gone = new AbortController();
  #upstream: Socket | null = null;
  /** What it will have ended with, once somebody has cut it. */
  #cut: Refusal | null = null;

  constructor(parts: Parts, unopened: Unopened) {
    const { client, rule } = unopened;
    this.#parts = parts;
    this.#unopened = unopened;
    const total = setTimeout(() => this.cut(new Refusal(504, 'the connection took too long')), parts.timings.tunnelMs);
    client.once('close', () => {
      clearTimeout(total);
      forget();
      this.#gone.abort(GONE);
    });
    const forget = parts.gatekeeper.watch({
      until: expiryOf(rule),
      stillAllowed: (state) => inForce(rule, state.phase, Date.now()),
      cut: (reason) => this.cut(new Refusal(403, reason)),
    });
  }

  /** Prepares the connection; what it throws is answered. */
  run(prepare: (signal: AbortSignal) => Promise<void>): void {
    const { client, row, rule } = this.#unopened;
    prepare(this.#gone.signal).catch((thrown: unknown) => {
      const refusal = this.#cut ?? (thrown instanceof Refusal ? thrown : new Refusal(502, 'the connection failed'));
      const { verdict, message, address, status } = refusal;
      row.end({ verdict, rule: rule.id, reason: message, address, status });
      answerRaw(client, refusal);
    });
  }

  /** Joins client and upstream until one of them ends. */
  join(upstream: Socket, first: Buffer, reason: string): void {
    const { client, row, rule } = this.#unopened;
    const { limits, timings } = this.#parts;
    const address = upstream.remoteAddress ?? null;
    this.#upstream = upstream;
    if (this.#cut !== null || client.destroyed) {
      upstream.destroy();
      throw this.#cut ?? new Refusal(502, 'the client went away');
    }
    const overdrawn = () => this.cut(new Refusal(503, limits.quota.problem ?? ''));
    const counting = {
      up: (bytes: number) => {
        row.bytesUp += bytes;
        if (!limits.quota.up(bytes)) overdrawn();
      },
      down: (bytes: number) => {
        row.bytesDown += bytes;
        if (!limits.quota.down(bytes)) overdrawn();
      },
    };
    // Whatever passes, in either direction, moves the client's side.
    client.setTimeout(timings.tunnelIdleMs, () => this.cut(new Refusal(504, 'nothing passed for too long')));
    if (first.length > 0) client.unshift(first);
    splice(client, upstream, counting, (problem) => {
      const ending = this.#cut ?? (problem === null ? null : new Refusal(502, `the connection broke off: ${problem.message}`));
      const said =
        ending === null ? ({ verdict: 'allowed', reason } as const) : { verdict: ending.verdict, reason: ending.message };
      row.end({ ...said, rule: rule.id, address, status: 200 });
    });
  }

  cut(refusal: Refusal): void {
    this.#cut ??= refusal;
    this.#unopened.client.destroy();
    this.#upstream?.destroy();
    this.#gone.abort(GONE);
  }
}

/** The hello that a tunnel begins with, whole, its name checked. @throws Refusal 403, 421, 504 */
async function checkedHello(
  { gatekeeper, timings }: Parts,
  target: Addressed,
  client: Socket,
  head: Buffer,
  signal: AbortSignal,
): Promise<Buffer> {
  const { phase } = gatekeeper.state;
  const bytes = await helloBytes(client, head, timings.helloMs, signal);
  const hello = readClientHello(bytes);
  if (hello.kind === 'not_tls') {
    const reason = 'what came through the tunnel is not TLS';
    throw new Refusal(403, reason, { text: notTlsText({ ...target, phase }, reason) });
  }
  if (hello.kind === 'incomplete') throw new Refusal(421, 'the TLS hello did not come to an end');
  if (hello.kind === 'refused') throw new Refusal(421, hello.reason);
  // An address is asked for without a name: RFC 6066, section 3.
  const due = isIP(target.host) === 0 ? target.host : null;
  if (hello.name === due) return bytes;
  const named = hello.name === null ? 'the TLS hello names no host' : `the TLS name is ${hello.name}`;
  throw new Refusal(421, `${named} and the tunnel goes to ${target.host}`);
}

/** Reads until a hello can be told or never will be; what was read is given back as it came. @throws Refusal 504 */
function helloBytes(client: Socket, head: Buffer, withinMs: number, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let bytes = head;
    const done = (settle: () => void) => {
      clearTimeout(timer);
      client.off('data', more);
      client.off('end', ended);
      signal.removeEventListener('abort', gone);
      client.pause();
      settle();
    };
    const look = () => {
      // The record's own length says how much is to come; only whole it is read.
      const short = bytes.length < 5 || bytes.length < 5 + bytes.readUInt16BE(3);
      const telling = bytes.length === 0 || (bytes[0] === 0x16 && short);
      if (!telling || bytes.length >= HELLO_LIMIT) done(() => resolve(bytes));
    };
    const more = (chunk: Buffer) => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      look();
    };
    const ended = () => done(() => resolve(bytes));
    const gone = () => done(() => reject(new Refusal(502, 'the client went away')));
    const timer = setTimeout(() => done(() => reject(new Refusal(504, 'no TLS hello came in time'))), withinMs);
    client.on('data', more);
    client.once('end', ended);
    signal.addEventListener('abort', gone, { once: true });
    look();
  });
}
