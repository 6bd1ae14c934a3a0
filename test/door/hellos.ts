import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import tls from 'node:tls';

/** The hello with which Node's own TLS client begins. */
export async function nodeHello(options: tls.ConnectionOptions): Promise<Buffer> {
  const [client, wire] = duplexPair();
  const secure = tls.connect({ socket: client, ...options });
  secure.on('error', () => {});
  const [bytes]: unknown[] = await once(wire, 'data');
  secure.destroy();
  wire.destroy();
  if (!Buffer.isBuffer(bytes)) throw new Error('no hello came');
  return bytes;
}

const sized = (bytes: 1 | 2 | 3, body: Buffer): Buffer => {
  const length = Buffer.alloc(bytes);
  length.writeUIntBE(body.length, 0, bytes);
  return Buffer.concat([length, body]);
};

/** One extension: RFC 8446, section 4.2. */
export function extension(id: number, data: Buffer): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(id);
  return Buffer.concat([head, sized(2, data)]);
}

/** A server_name extension with these names: RFC 6066, section 3. */
export const serverName = (...names: readonly string[]): Buffer => {
  const entries = names.map((name) => Buffer.concat([Buffer.from([0]), sized(2, Buffer.from(name, 'latin1'))]));
  return extension(0, sized(2, Buffer.concat(entries)));
};

/** Where the block of extensions begins with its length, in the one record of a hello. */
function extensionsAt(hello: Buffer): number {
  let at = 5 + 4 + 2 + 32;
  at += 1 + hello.readUInt8(at);
  at += 2 + hello.readUInt16BE(at);
  return at + 1 + hello.readUInt8(at);
}

/** A hello with the extensions that a function makes of its own. */
export function withExtensions(hello: Buffer, change: (block: Buffer) => Buffer): Buffer {
  const at = extensionsAt(hello);
  const block = change(hello.subarray(at + 2));
  const body = Buffer.concat([hello.subarray(5 + 4, at), sized(2, block)]);
  return record(Buffer.concat([Buffer.from([1]), sized(3, body)]));
}

/** A handshake record around bytes. */
export const record = (message: Buffer): Buffer => Buffer.concat([Buffer.from([0x16, 3, 1]), sized(2, message)]);

/** The hello of one record as two records, parted behind so many bytes of its message. */
export const inTwoRecords = (hello: Buffer, at: number): Buffer =>
  Buffer.concat([record(hello.subarray(5, 5 + at)), record(hello.subarray(5 + at))]);
