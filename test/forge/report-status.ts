/**
 * Puts GitHub's reason into git's report on a push.
 *
 * A hook can only decline ("hook declined"); GitHub's server says why on the ref's own line, which clients show as
 * `! [remote rejected] branch -> branch (reason)`. Formats: https://git-scm.com/docs/pack-protocol#_report_status
 */

const REPORT = 1;

interface Packet {
  readonly payload: Buffer;
}

/** The packets of a stream; flush packets are null. */
function packets(stream: Buffer): (Packet | null)[] {
  const found: (Packet | null)[] = [];
  for (let at = 0; at + 4 <= stream.length; ) {
    const length = Number.parseInt(stream.subarray(at, at + 4).toString('latin1'), 16);
    if (!Number.isInteger(length) || length < 4) {
      found.push(null);
      at += 4;
    } else {
      found.push({ payload: stream.subarray(at + 4, at + length) });
      at += length;
    }
  }
  return found;
}

const packet = (payload: Buffer) => Buffer.concat([Buffer.from((payload.length + 4).toString(16).padStart(4, '0')), payload]);
const flush = Buffer.from('0000');

/** The report with `ng REF hook declined` told in the given words, by ref. Other than side-band reports stay as they are. */
export function explainRefusals(body: Buffer, reasons: ReadonlyMap<string, string>): Buffer {
  const banded = packets(body);
  if (reasons.size === 0 || banded.some((known) => known && known.payload.length > 0 && (known.payload[0] ?? 0) > 3)) return body;
  const report = banded.flatMap((known) => (known?.payload[0] === REPORT ? [known.payload.subarray(1)] : []));
  const lines = packets(Buffer.concat(report)).map((line) => {
    if (line === null) return flush;
    const [, ref = ''] = /^ng (\S+) /.exec(line.payload.toString()) ?? [];
    const reason = reasons.get(ref);
    return packet(reason === undefined ? line.payload : Buffer.from(`ng ${ref} ${reason}\n`));
  });
  return Buffer.concat([packet(Buffer.concat([Buffer.from([REPORT]), ...lines])), flush]);
}
