import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { frames } from '../../src/sandbox/frames.ts';

function frame(stream: 1 | 2, bytes: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(stream, 0);
  header.writeUInt32BE(bytes.length, 4);
  return Buffer.concat([header, bytes]);
}

async function* inPieces(whole: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size);
}

test('frames come out whole and in order wherever the engine cuts its stream', async () => {
  const piece = fc.record({ stream: fc.constantFrom<1 | 2>(1, 2), bytes: fc.uint8Array({ maxLength: 40 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 8 }), fc.integer({ min: 1, max: 30 }), async (pieces, size) => {
      const sent = Buffer.concat(pieces.map(({ stream, bytes }) => frame(stream, Buffer.from(bytes))));
      const got = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
      for await (const { from, bytes } of frames(inPieces(sent, size))) got[from] = Buffer.concat([got[from], bytes]);
      const expected = (wanted: number) =>
        Buffer.concat(pieces.filter(({ stream }) => stream === wanted).map(({ bytes }) => Buffer.from(bytes)));
      assert.deepEqual(got, { stdout: expected(1), stderr: expected(2) });
    }),
  );
});

test('a header that is none is an error, not output', async () => {
  const read = async () => {
    for await (const _ of frames(inPieces(Buffer.from('HTTP/1.1 500 oops'), 100)));
  };
  await assert.rejects(read, { code: 'engine_nonsense' });
});
