import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

/** Hands on each line of a stream; calls `onTooLong` and stops when one has more than `limit` characters. */
export function readLines(stream: Readable, limit: number, onLine: (line: string) => void, onTooLong: () => void): void {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  stream.on('data', (chunk: Buffer) => {
    const lines = (rest + decoder.write(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
    if (rest.length <= limit) return;
    stream.removeAllListeners('data');
    stream.resume();
    onTooLong();
  });
}
