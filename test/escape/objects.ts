/** git's objects, packs and bundles byte by byte: what a sandbox may send instead of what git would write. */
import { createHash } from 'node:crypto';
import { deflateSync } from 'node:zlib';

export const TYPES = { commit: 1, tree: 2, blob: 3, ref_delta: 7 } as const;

export interface PackedObject {
  readonly type: keyof typeof TYPES;
  readonly data: Buffer;
  /** The size that the pack states, where it is not the true one. */
  readonly says?: number;
  /** The base of a delta. */
  readonly base?: string;
}

export const idOf = (type: 'commit' | 'tree' | 'blob', data: Buffer): string =>
  createHash('sha1').update(`${type} ${data.length}\0`).update(data).digest('hex');

/** A pack of these objects (gitformat-pack); `says` is the count that it states. */
export function packOf(objects: readonly PackedObject[], says: number = objects.length): Buffer {
  const head = Buffer.alloc(12);
  head.write('PACK');
  head.writeUInt32BE(2, 4);
  head.writeUInt32BE(says, 8);
  const body = Buffer.concat([
    head,
    ...objects.flatMap(({ type, data, says: size = data.length, base }) => [
      entryHead(TYPES[type], size),
      base === undefined ? Buffer.alloc(0) : Buffer.from(base, 'hex'),
      deflateSync(data),
    ]),
  ]);
  return Buffer.concat([body, createHash('sha1').update(body).digest()]);
}

function entryHead(type: number, size: number): Buffer {
  const bytes = [(type << 4) | (size & 15)];
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 128)) {
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) | 128;
    bytes.push(rest & 127);
  }
  return Buffer.from(bytes);
}

const varint = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...varint(Math.floor(value / 128))]);

/** A delta that copies the first 64 KiB of its base so many times: one byte each. */
export const repeatingDelta = (baseSize: number, times: number): Buffer =>
  Buffer.from([...varint(baseSize), ...varint(0x10000 * times), ...Array.from({ length: times }, () => 0x80)]);

/** A bundle with one prerequisite and one ref, as the take-out writes it (gitformat-bundle). */
export const bundleOf = (base: string, head: string, pack: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`# v2 git bundle\n-${base} x\n${head} refs/heads/change\n\n`), pack]);

export type TreeEntry = readonly [mode: string, name: string | Buffer, id: string];

export const treeOf = (entries: readonly TreeEntry[]): Buffer =>
  Buffer.concat(
    entries.map(([mode, name, id]) =>
      Buffer.concat([Buffer.from(`${mode} `), Buffer.from(name), Buffer.from([0]), Buffer.from(id, 'hex')]),
    ),
  );

/** As git sorts them: a directory as if its name ended in a slash. */
export const sorted = (entries: readonly TreeEntry[]): TreeEntry[] => [...entries].sort((a, b) => Buffer.compare(key(a), key(b)));
const key = ([mode, name]: TreeEntry): Buffer => Buffer.concat([Buffer.from(name), Buffer.from(mode === '40000' ? '/' : '')]);

export interface CommitText {
  readonly tree: string;
  readonly parent: string;
  readonly author?: string;
  readonly committer?: string;
  /** Further header lines. */
  readonly more?: string;
}
const SANDBOX = 'sandbox <sandbox@coatcheck.invalid> 1 +0000';

export const commitOf = ({ tree, parent, author = SANDBOX, committer = SANDBOX, more = '' }: CommitText): Buffer =>
  Buffer.from(`tree ${tree}\nparent ${parent}\nauthor ${author}\ncommitter ${committer}\n${more}\nChange\n`);
