import { CoatcheckError } from '../errors.ts';

export interface Frame {
  readonly from: 'stdout' | 'stderr';
  readonly bytes: Buffer;
}

const HEADER = 8;

/**
 * Takes an exec's multiplexed stream apart, in order of arrival and with backpressure: the next bytes are read when the
 * consumer asks for them. A frame is passed on in the pieces in which it arrives, so memory stays flat whatever its size.
 * Format: https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach ("Stream format").
 * @throws CoatcheckError `engine_nonsense` on a header that is none.
 */
export async function* frames(multiplexed: AsyncIterable<Buffer>): AsyncGenerator<Frame, void, void> {
  let header = Buffer.alloc(0);
  let left = 0;
  let from: Frame['from'] = 'stdout';
  for await (const chunk of multiplexed) {
    let rest = chunk;
    while (rest.length > 0) {
      if (left === 0) {
        const need = HEADER - header.length;
        header = Buffer.concat([header, rest.subarray(0, need)]);
        rest = rest.subarray(need);
        if (header.length < HEADER) break;
        from = streamName(header);
        left = header.readUInt32BE(4);
        header = Buffer.alloc(0);
        continue;
      }
      const bytes = rest.subarray(0, left);
      rest = rest.subarray(bytes.length);
      left -= bytes.length;
      yield { from, bytes };
    }
  }
}

function streamName(header: Buffer): Frame['from'] {
  if (header[0] === 1) return 'stdout';
  if (header[0] === 2) return 'stderr';
  throw new CoatcheckError('engine_nonsense', 'The Docker engine sent a broken exec stream.', 'Check its version and its log.');
}
