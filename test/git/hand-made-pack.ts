/** Packs and bundles made by hand, with objects that git itself would not make, or not in this number. */
import { createHash } from 'node:crypto';
import { deflateSync } from 'node:zlib';

const TYPES = { commit: 1, tree: 2, blob: 3 } as const;
type Type = keyof typeof TYPES;

export interface MadeObject {
  readonly type: Type;
  readonly id: string;
  readonly body: Buffer;
}

export function objectOf(type: Type, body: Buffer | string): MadeObject {
  const bytes = Buffer.from(body);
  const id = createHash('sha1').update(`${type} ${bytes.length}\0`).update(bytes).digest('hex');
  return { type, id, body: bytes };
}

export const treeOf = (...entries: readonly (readonly [mode: string, name: string, id: string])[]): MadeObject =>
  objectOf(
    'tree',
    Buffer.concat(entries.map(([mode, name, id]) => Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(id, 'hex')]))),
  );

/** A bundle with one commit on the base, of the tree that stands last. */
export function bundleOf(base: string, objects: readonly MadeObject[]): { bytes: Buffer; tree: string } {
  const tree = objects.findLast(({ type }) => type === 'tree')?.id ?? '';
  const who = 'a <a@b.test> 1 +0000';
  const commit = objectOf('commit', `tree ${tree}\nparent ${base}\nauthor ${who}\ncommitter ${who}\n\nChange\n`);
  const entries = [...objects, commit].map(({ type, body }) =>
    Buffer.concat([entryHeader(TYPES[type], body.length), deflateSync(body, { level: 1 })]),
  );
  return { bytes: bundleWith(base, commit.id, entries), tree };
}

/** A bundle whose pack holds these entries, as gitformat-pack has them. */
export function bundleWith(base: string, head: string, entries: readonly Buffer[]): Buffer {
  const body = Buffer.concat([Buffer.from('PACK'), u32(2), u32(entries.length), ...entries]);
  const sum = createHash('sha1').update(body).digest();
  return Buffer.concat([Buffer.from(`# v2 git bundle\n-${base} x\n${head} refs/heads/change\n\n`), body, sum]);
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** Type and size of a pack entry. */
export function entryHeader(type: number, size: number): Buffer {
  const bytes = [(type << 4) | (size & 15)];
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 128)) {
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) | 128;
    bytes.push(rest & 127);
  }
  return Buffer.from(bytes);
}
