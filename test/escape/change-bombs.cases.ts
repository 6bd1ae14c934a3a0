/** Row 39: small bundles of which much becomes, and packs that lie. */
import type { EscapeCase } from './cases.ts';
import { blob, bundled, idOfBlob, MiB, notPublished, type Parts, passes, rootWith, X } from './change-parts.ts';
import type { GitTarget } from './git-rig.ts';
import { bundleOf, commitOf, idOf, type PackedObject, packOf, repeatingDelta, treeOf } from './objects.ts';

type Case = EscapeCase<GitTarget>;

const ZEROS = Buffer.alloc(0x10000);

/** A file that a delta of `times` bytes unfolds to `times` × 64 KiB. */
function unfolding(target: GitTarget, times: number): Parts {
  const whole = idOfBlob(times > 1000 ? X : Buffer.alloc(0x10000 * times));
  const { objects, tree } = rootWith(target, [
    ['100644', 'small', idOfBlob(ZEROS)],
    ['100644', 'z', whole],
  ]);
  const delta: PackedObject = { type: 'ref_delta', data: repeatingDelta(ZEROS.length, times), base: idOfBlob(ZEROS) };
  return { objects: [...objects, blob(ZEROS), delta], tree };
}

/** `depth` directories of ten entries each, every one the next: ten to the power of `depth` files in as many objects. */
function nested(target: GitTarget, depth: number): Parts {
  const objects: PackedObject[] = [];
  let entry: readonly [string, string] = ['100644', idOfBlob(X)];
  for (let level = 0; level < depth; level++) {
    const [mode, id] = entry;
    const data = treeOf(Array.from({ length: 10 }, (_, n) => [mode, String(n), id] as const));
    objects.push({ type: 'tree', data });
    entry = ['40000', idOf('tree', data)];
  }
  const root = rootWith(target, [['40000', 'deep', entry[1]]]);
  return { objects: [...root.objects, ...objects], tree: root.tree };
}

const files = (target: GitTarget, count: number): Parts =>
  rootWith(
    target,
    Array.from({ length: count }, (_, n) => ['100644', `many-${String(n).padStart(6, '0')}`, idOfBlob(X)] as const),
  );

function sized(target: GitTarget, bytes: number): Parts {
  const content = Buffer.alloc(bytes);
  const { objects, tree } = rootWith(target, [['100644', 'z', idOfBlob(content)]]);
  return { objects: [...objects, blob(content)], tree };
}

interface Bomb {
  readonly name: string;
  readonly make: (target: GitTarget) => Parts;
  /** The same of an honest size. */
  readonly small: (target: GitTarget) => Parts;
  readonly why: RegExp;
}

const BOMBS: readonly Bomb[] = [
  { name: 'zeros: 64 MiB in 64 KiB', make: (t) => sized(t, 64 * MiB), small: (t) => sized(t, MiB), why: /large/ },
  {
    name: 'a delta of 16 KiB that unfolds to 1 GiB',
    make: (t) => unfolding(t, 16384),
    small: (t) => unfolding(t, 2),
    why: /over_limits/,
  },
  {
    name: 'ten to the tenth files in eleven objects',
    make: (t) => nested(t, 10),
    small: (t) => nested(t, 1),
    why: /too_many|over_limits/,
  },
  { name: '50,000 files of one blob', make: (t) => files(t, 50_000), small: (t) => files(t, 90), why: /too_many/ },
  { name: 'one file more than the limit', make: (t) => files(t, 101), small: (t) => files(t, 100), why: /too_many/ },
];

const bombs = BOMBS.map(
  ({ name, make, small, why }): Case => ({
    row: 39,
    name,
    attempt: `a small bundle holds ${name}`,
    expected: 'refused within the caps on memory, time and files; the same of an honest size is published',
    async run(target) {
      const parts = make(target);
      const started = performance.now();
      const passed = await target.publish(bundled(target, parts), parts.tree);
      const ms = performance.now() - started;
      const { held, seen } = notPublished(passed, why);
      const control = await passes(target, small(target));
      return { held: held && ms < 20_000, seen: `${seen} in ${Math.round(ms)} ms`, control };
    },
  }),
);

/** Packs whose numbers are not true. */
const LIES: readonly (readonly [name: string, lie: (objects: readonly PackedObject[]) => Buffer])[] = [
  ['a count of a million objects', (objects) => packOf(objects, 1_000_000)],
  ['an object said to be of 4 GiB', ([first, ...rest]) => packOf([{ ...(first as PackedObject), says: 2 ** 32 }, ...rest])],
  ['an object said to be of one byte', ([first, ...rest]) => packOf([{ ...(first as PackedObject), says: 1 }, ...rest])],
  ['fewer objects than are there', (objects) => packOf(objects, objects.length - 1)],
];

const lies = LIES.map(
  ([name, lie]): Case => ({
    row: 39,
    name: `a pack that lies: ${name}`,
    attempt: `the pack states ${name}`,
    expected: 'refused; the same pack with true numbers is published',
    async run(target) {
      const { objects, tree } = rootWith(target, [['100644', 'z', idOfBlob(X)]]);
      const commit = commitOf({ tree, parent: target.world.base });
      const all: PackedObject[] = [{ type: 'commit', data: commit }, ...objects];
      const as = (pack: Buffer) => target.publish(bundleOf(target.world.base, idOf('commit', commit), pack), tree);
      const passed = await as(lie(all));
      const control = await as(packOf(all));
      return {
        ...notPublished(passed, /objects_unreadable|over_limits/),
        control: { worked: control.published !== null, how: `true numbers: ${control.why}` },
      };
    },
  }),
);

export const CASES: readonly Case[] = [...bombs, ...lies];
