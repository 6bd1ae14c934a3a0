import { z } from 'zod';
import type { CageResult } from '../cage/run-in-cage.ts';
import { ObjectId } from '../task/task.ts';
import { caged, isOverLimits, OverLimits, quarantineFailed, type Scratch } from './caged-git.ts';
import { printable } from './open-change.ts';

export interface ChangedFile {
  /** Relative to the tree; bytes that are not UTF-8 are replaced, see `readable`. */
  readonly path: string;
  readonly change: 'added' | 'modified' | 'deleted' | 'mode';
  /** Six octal digits; `000000` for what is not there. */
  readonly mode: string;
  readonly oldMode: string;
  /** Bytes of the new content; 0 for what was deleted and for submodules. */
  readonly size: number;
  readonly binary: boolean;
}

/** As `ChangedFile`, with what only the checks need. */
export interface FileFacts extends ChangedFile {
  /** False when the path is not UTF-8. */
  readonly readable: boolean;
  /** Where a new symbolic link points; null for everything else, and for a target too long to be one. */
  readonly target: string | null;
}

const MiB = 1024 * 1024;

/** A path longer than the kernel's PATH_MAX is no link's target. */
const TARGET_BYTES = 4096;

export type Trees = { readonly base: string; readonly tree: string };

/**
 * What a change does to the base's tree, file by file; null when it does more than `limit` files' worth of output.
 * Renames are told as a deletion and an addition.
 */
export async function changedFiles(scratch: Scratch, trees: Trees, limit: number): Promise<FileFacts[] | null> {
  const raw = await caged(scratch, diffTree(trees, ['--raw', '-z', '--no-abbrev']), { outputLimit: outputFor(limit) });
  if (raw.ended === 'output_limit') return null;
  const entries = readRaw(must(raw));
  if (entries.length > limit) return null;
  const numbers = await caged(scratch, diffTree(trees, ['--numstat', '-z']), { outputLimit: outputFor(limit) });
  const binary = binaryPaths(must(numbers));
  const sizes = await sizesOf(
    scratch,
    entries.filter(hasContent).map((entry) => entry.id),
  );
  const links = entries.filter((entry) => entry.mode === '120000' && (sizes.get(entry.id) ?? 0) <= TARGET_BYTES);
  const targets = await contentsOf(
    scratch,
    links.map((entry) => entry.id),
  );
  return entries.map((entry) => {
    const path = entry.path.toString('utf8');
    return {
      path,
      readable: Buffer.from(path).equals(entry.path),
      change: entry.change,
      mode: entry.mode,
      oldMode: entry.oldMode,
      size: sizes.get(entry.id) ?? 0,
      binary: binary.has(entry.path.toString('latin1')),
      target: entry.mode === '120000' ? (targets.get(entry.id) ?? null) : null,
    };
  });
}

/** The beginning of a diff, and whether that is all of it. Written by whoever wrote the change: as hostile as that. */
export interface Patch {
  readonly bytes: Buffer;
  readonly whole: boolean;
}

/** The change as unified diff for people: whole lines, as many as there is room for. Binary files are only named. */
export async function diffToShow(scratch: Scratch, trees: Trees, byteLimit: number): Promise<Patch> {
  const { bytes, whole } = await patchOf(scratch, diffTree(trees, ['--patch', '--no-color']), byteLimit);
  return { bytes: whole ? bytes : bytes.subarray(0, bytes.lastIndexOf(10) + 1), whole };
}

/** The change as unified diff for the scanner: no context, and the content of what git takes for binary too, but `except`. */
export function diffToScan(scratch: Scratch, trees: Trees, byteLimit: number, except: readonly string[]): Promise<Patch> {
  const paths = ['--', '.', ...except.map((path) => `:(exclude,literal)${path}`)];
  const command = [...diffTree(trees, ['--patch', '--no-color', '--unified=0', '--text']), ...paths];
  return patchOf(scratch, command, byteLimit);
}

async function patchOf(scratch: Scratch, command: readonly string[], byteLimit: number): Promise<Patch> {
  const run = await caged(scratch, command, { outputLimit: byteLimit });
  return run.ended === 'output_limit' ? { bytes: run.stdout, whole: false } : { bytes: must(run), whole: true };
}

const diffTree = ({ base, tree }: Trees, format: readonly string[]): string[] => [
  ...['git', 'diff-tree', '-r', '--no-renames', '--no-ext-diff', '--no-textconv', '--ignore-submodules=none', '--full-index'],
  ...['--src-prefix=a/', '--dst-prefix=b/', ...format, `${base}^{tree}`, tree],
];

const outputFor = (files: number): number => files * 512 + MiB;

/**
 * stdout of a look at objects that index-pack found sound.
 * @throws OverLimits when the change costs more than a look may; CoatcheckError `quarantine_failed` for the host's failures.
 */
function must(run: CageResult): Buffer {
  if (run.ended === 'exited' && run.exitCode === 0) return run.stdout;
  if (isOverLimits(run)) throw new OverLimits(run.ended === 'exited' ? printable(run.stderr) : run.ended);
  throw quarantineFailed(run);
}

interface RawEntry {
  readonly oldMode: string;
  readonly mode: string;
  readonly id: string;
  readonly change: ChangedFile['change'];
  readonly path: Buffer;
}

const Raw = z
  .string()
  .regex(/^:([0-7]{6}) ([0-7]{6}) ([0-9a-f]{40,64}) ([0-9a-f]{40,64}) ([ADMT])$/)
  .transform((line) => line.slice(1).split(' '));

/** `:oldmode newmode oldid newid STATUS NUL path NUL`, as diff-tree's manual has it. */
function readRaw(bytes: Buffer): RawEntry[] {
  const fields = splitNul(bytes);
  return Array.from({ length: fields.length / 2 }, (_, i) => {
    const [oldMode = '', mode = '', oldId = '', id = '', status = ''] = Raw.parse(fields[2 * i]?.toString('latin1'));
    return { oldMode, mode, id, change: changeOf(status, oldId === id), path: fields[2 * i + 1] ?? Buffer.alloc(0) };
  });
}

function changeOf(status: string, sameContent: boolean): ChangedFile['change'] {
  if (status === 'A') return 'added';
  if (status === 'D') return 'deleted';
  return sameContent ? 'mode' : 'modified';
}

/** `added TAB deleted TAB path NUL`; both are `-` for binary content. */
function binaryPaths(bytes: Buffer): Set<string> {
  const lines = splitNul(bytes).map((line) => line.toString('latin1'));
  return new Set(lines.filter((line) => line.startsWith('-\t-\t')).map((line) => line.slice(4)));
}

function splitNul(bytes: Buffer): Buffer[] {
  const fields: Buffer[] = [];
  for (let from = 0, to = bytes.indexOf(0); to !== -1; from = to + 1, to = bytes.indexOf(0, from))
    fields.push(bytes.subarray(from, to));
  return fields;
}

const hasContent = (entry: RawEntry): boolean => entry.change !== 'deleted' && entry.mode !== '160000';

async function sizesOf(scratch: Scratch, ids: readonly string[]): Promise<Map<string, number>> {
  const command = ['git', 'cat-file', '--batch-check=%(objectname) %(objectsize)'];
  const run = await caged(scratch, command, {
    stdin: Buffer.from(ids.map((id) => `${id}\n`).join('')),
    outputLimit: ids.length * 100 + MiB,
  });
  const lines = must(run).toString('latin1').split('\n').slice(0, -1);
  return new Map(
    lines.map((line) => {
      const [id, size] = line.split(' ');
      return [ObjectId.parse(id), z.coerce.number().int().nonnegative().parse(size)];
    }),
  );
}

async function contentsOf(scratch: Scratch, ids: readonly string[]): Promise<Map<string, string>> {
  const run = await caged(scratch, ['git', 'cat-file', '--batch=%(objectname) %(objectsize)'], {
    stdin: Buffer.from(ids.map((id) => `${id}\n`).join('')),
    outputLimit: ids.length * (TARGET_BYTES + 100) + MiB,
  });
  const bytes = must(run);
  const contents = new Map<string, string>();
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(10, from);
    const [id, size] = bytes.subarray(from, end).toString('latin1').split(' ');
    const length = z.coerce.number().int().nonnegative().max(TARGET_BYTES).parse(size);
    contents.set(ObjectId.parse(id), bytes.subarray(end + 1, end + 1 + length).toString('utf8'));
    from = end + 1 + length + 1;
  }
  return contents;
}
