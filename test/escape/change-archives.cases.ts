/** Row 33: what comes in the place of a bundle. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { receiveBundle } from '../../src/git/receive-bundle.ts';
import type { EscapeCase } from './cases.ts';
import { blob, bundled, idOfBlob, MiB, notPublished, rootWith, taken, X } from './change-parts.ts';
import type { GitTarget } from './git-rig.ts';
import { idOf, treeOf } from './objects.ts';

type Case = EscapeCase<GitTarget>;

/** A tar archive with one entry, as GNU tar reads it. */
function tarOf(name: string, type: '0' | '2' | '3', options: { link?: string; content?: string } = {}): Buffer {
  const { link = '', content = '' } = options;
  const head = Buffer.alloc(512);
  head.write(name, 0);
  head.write('0000644\0', 100);
  head.write('0000000\0', 108);
  head.write('0000000\0', 116);
  head.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
  head.write('00000000000\0', 136);
  head.write(type, 156);
  head.write(link, 157);
  head.write('ustar\x0000', 257);
  head.write('0000001\0', 329);
  head.write('0000003\0', 337);
  head.fill(' ', 148, 156);
  const sum = head.reduce((all, byte) => all + byte, 0);
  head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([head, Buffer.from(content.padEnd(Math.ceil(content.length / 512) * 512, '\0'))]);
}
const END = Buffer.alloc(1024);

interface Archive {
  readonly name: string;
  readonly bytes: (outside: string) => Buffer;
  /** What is outside when it is unpacked without care. */
  readonly leaves: string;
}
const ARCHIVES: readonly Archive[] = [
  {
    name: 'a tar with “..”',
    bytes: () => Buffer.concat([tarOf('../escaped', '0', { content: 'out' }), END]),
    leaves: 'escaped',
  },
  {
    name: 'a tar with a link and then a file behind it',
    bytes: (outside) => Buffer.concat([tarOf('a', '2', { link: outside }), tarOf('a/linked', '0', { content: 'out' }), END]),
    leaves: 'linked',
  },
  { name: 'a tar with a device', bytes: () => Buffer.concat([tarOf('../device', '3'), END]), leaves: 'device' },
];

const archives = ARCHIVES.map(
  ({ name, bytes, leaves }): Case => ({
    row: 33,
    name: `${name} in the place of the bundle`,
    attempt: `the sandbox’s git is another program and answers with ${name}`,
    expected: 'refused as no bundle; nothing is unpacked anywhere',
    async run(target) {
      const outside = mkdtempSync(join(target.world.root, 'outside-'));
      const archive = bytes(outside);
      const passed = await target.publish(archive, '0'.repeat(40));
      const before = existsSync(join(outside, leaves));
      const inner = mkdtempSync(join(outside, 'inner-'));
      spawnSync('tar', ['--extract', '--absolute-names', '-C', inner], { input: archive });
      const after = existsSync(join(outside, leaves));
      const { held, seen } = notPublished(passed, /bundle_unreadable/);
      return { held: held && !before, seen, control: { worked: after, how: `tar -P leaves ${leaves} outside: ${after}` } };
    },
  }),
);

const linkThenWrite: Case = {
  row: 33,
  name: 'a tree with a link and a directory of the same name',
  attempt: 'whoever checks the tree out writes through the link first made',
  expected: 'refused before any ref',
  async run(target) {
    const inner = treeOf([['100644', 'written', idOfBlob(X)]]);
    const { objects, tree } = rootWith(target, [
      ['120000', 'zz', idOfBlob('/tmp')],
      ['40000', 'zz', idOf('tree', inner)],
    ]);
    const parts = { objects: [...objects, blob('/tmp'), { type: 'tree' as const, data: inner }], tree };
    const bundle = bundled(target, parts);
    return { ...notPublished(await target.publish(bundle, tree), /hostile_object/), control: taken(target, bundle) };
  },
};

const waitingLink: Case = {
  row: 33,
  name: 'a link that waits where the change is written',
  attempt: 'a link stands in the place of the file that receives the bundle',
  expected: 'not followed: the upload fails and the link’s target is as it was',
  async run({ world }) {
    const victim = join(mkdtempSync(join(world.root, 'victim-')), 'victim');
    const file = `${victim}-link`;
    writeFileSync(victim, 'as it was');
    symlinkSync(victim, file);
    const options = { file, byteLimit: MiB, signal: world.signal };
    const received = await receiveBundle(Readable.from([Buffer.from('overwritten')]), options).then(
      () => 'received',
      (error: unknown) => String(error),
    );
    const kept = readFileSync(victim, 'utf8');
    writeFileSync(file, 'overwritten');
    const control = readFileSync(victim, 'utf8');
    return {
      held: kept === 'as it was' && /EEXIST/.test(received),
      seen: `${received}; the target holds “${kept}”`,
      control: { worked: control === 'overwritten', how: `a plain write follows it: “${control}”` },
    };
  },
};

const endless: Case = {
  row: 33,
  name: 'a stream without an end',
  attempt: 'the sandbox goes on sending',
  expected: 'cut at the limit, the file removed; a stream of that size is taken',
  async run({ world }) {
    const file = join(mkdtempSync(join(world.root, 'endless-')), 'change');
    let sent = 0;
    const chunk = Buffer.alloc(64 * 1024);
    function* stream(limit: number) {
      for (sent = 0; sent < limit; sent += chunk.length) yield chunk;
    }
    const options = { file, byteLimit: MiB, signal: world.signal };
    const ended = await receiveBundle(Readable.from(stream(Number.POSITIVE_INFINITY)), options).then(
      () => 'received',
      (error: { code?: string }) => String(error.code),
    );
    const [gone, taken] = [!existsSync(file), sent];
    const control = await receiveBundle(Readable.from(stream(MiB)), options);
    return {
      held: ended === 'change_too_large' && gone && taken < 4 * MiB,
      seen: `${ended} after ${taken} bytes, file ${gone ? 'gone' : 'there'}`,
      control: { worked: control.bytes === MiB, how: `${control.bytes} bytes at the limit were taken` },
    };
  },
};

const squeezed: Case = {
  row: 33,
  name: 'a compressed bomb in the place of the bundle',
  attempt: '64 MiB of zeros in a gzip of 64 KiB',
  expected: 'refused as no bundle; nothing unpacks it',
  async run(target) {
    const bytes = gzipSync(Buffer.alloc(64 * MiB));
    const passed = await target.publish(bytes, '0'.repeat(40));
    const unpacked = execFileSync('gzip', ['-dc'], { input: bytes, maxBuffer: 128 * MiB }).length;
    const control = { worked: unpacked === 64 * MiB, how: `gzip makes ${unpacked} bytes of ${bytes.length}` };
    return { ...notPublished(passed, /bundle_unreadable/), control };
  },
};

const anotherTree: Case = {
  row: 33,
  name: 'another tree than was verified',
  attempt: 'verified is one tree, the bundle holds another',
  expected: 'refused: what is published is what was verified',
  async run(target) {
    const bad = rootWith(target, [['100755', 'evil.sh', idOfBlob(X)]]);
    const good = rootWith(target, [['100644', 'good.txt', idOfBlob(X)]]);
    const passed = await target.publish(bundled(target, bad), good.tree);
    const control = await target.publish(bundled(target, bad), bad.tree);
    const worked = control.published !== null;
    return { ...notPublished(passed, /wrong_tree/), control: { worked, how: `as itself it passes: ${control.why}` } };
  },
};

export const CASES: readonly Case[] = [...archives, ...[linkThenWrite, waitingLink, endless, squeezed, anotherTree]];
