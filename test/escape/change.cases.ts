import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { branchRef, pushBranch } from '../../src/git/push.ts';
import { receiveBundle } from '../../src/git/receive-bundle.ts';
import { PROTECTED_PATHS } from '../../src/policy/protected.ts';
import { POLICY } from '../git/quarantine-world.ts';
import { gitAs } from '../git/repositories.ts';
import type { EscapeCase, Observation } from './cases.ts';
import { type GitTarget, type Passed, US } from './git-rig.ts';
import {
  bundleOf,
  type CommitText,
  commitOf,
  idOf,
  type PackedObject,
  packOf,
  repeatingDelta,
  sorted,
  type TreeEntry,
  treeOf,
} from './objects.ts';

type Case = EscapeCase<GitTarget>;
const MiB = 1 << 20;

/** What a change is made of, before it is a bundle. */
interface Parts {
  readonly objects: readonly PackedObject[];
  readonly tree: string;
}

const blob = (text: string | Buffer): PackedObject => ({ type: 'blob', data: Buffer.from(text) });
const idOfBlob = (text: string | Buffer): string => idOf('blob', Buffer.from(text));
const X = 'x\n';

/** The base's root with these entries in it, in git's order or as given. */
function rootWith({ world }: GitTarget, extra: readonly TreeEntry[], inOrder = true): Parts {
  const entries = [...world.baseEntries, ...extra];
  const data = treeOf(inOrder ? sorted(entries) : entries);
  return { objects: [blob(X), { type: 'tree', data }], tree: idOf('tree', data) };
}

/** A directory of these entries below the base's root. */
function below(target: GitTarget, mode: string, name: string | Buffer, inner: readonly TreeEntry[]): Parts {
  const data = treeOf(inner);
  const { objects, tree } = rootWith(target, [[mode, name, idOf('tree', data)]]);
  return { objects: [...objects, { type: 'tree', data }], tree };
}

const replacing = ({ world }: GitTarget, name: string, entry: TreeEntry): Parts => {
  const data = treeOf(sorted([...world.baseEntries.filter(([, known]) => known !== name), entry]));
  return { objects: [blob(X), blob('src'), { type: 'tree', data }], tree: idOf('tree', data) };
};

/** The bundle of one commit on the base. */
function bundled({ world }: GitTarget, { objects, tree }: Parts, commit: Partial<CommitText> = {}): Buffer {
  const data = commitOf({ tree, parent: world.base, ...commit });
  return bundleOf(world.base, idOf('commit', data), packOf([{ type: 'commit', data }, ...objects]));
}

/** Whether a repository that only has `fetch.fsckObjects` takes the bundle. */
function taken(target: GitTarget, bundle: Buffer): { worked: boolean; how: string } {
  const { world } = target;
  const own = mkdtempSync(join(world.root, 'plain-'));
  const file = join(own, 'x.bundle');
  writeFileSync(file, bundle);
  gitAs(own, ['clone', '--quiet', '--bare', world.upstream, 'plain.git']);
  const at = join(own, 'plain.git');
  const fetch = ['-c', 'fetch.fsckObjects=true', 'fetch', '--quiet', file, 'refs/heads/change:refs/heads/change'];
  const run = spawnSync('git', ['-C', at, ...fetch], { encoding: 'utf8', timeout: 30_000 });
  const there = spawnSync('git', ['-C', at, 'rev-parse', '--verify', '--quiet', 'refs/heads/change']).status === 0;
  return { worked: there, how: `git fetch with fetch.fsckObjects=true alone: ${there ? 'taken' : run.stderr}` };
}

/** Whether an honest change is published. */
async function passes(target: GitTarget, parts: Parts): Promise<Observation['control']> {
  const { published, why } = await target.publish(bundled(target, parts), parts.tree);
  return { worked: published !== null, how: `an honest one: ${why}` };
}

const notPublished = (passed: Passed, why: RegExp): Pick<Observation, 'held' | 'seen'> => ({
  held: passed.published === null && why.test(passed.why),
  seen: passed.published === null ? `refused: ${passed.why}` : `published ${passed.published}`,
});

// ── Row 38 ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const config = '[core]\n\tfsmonitor = touch /nonexistent/marker\n';
const dotGit =
  (name: string | Buffer) =>
  (target: GitTarget): Parts => {
    const parts = below(target, '40000', name, [['100644', 'config', idOfBlob(config)]]);
    return { ...parts, objects: [...parts.objects, blob(config)] };
  };
const modules =
  (text: string, mode = '100644') =>
  (target: GitTarget): Parts => {
    const { objects, tree } = rootWith(target, [[mode, '.gitmodules', idOfBlob(text)]]);
    return { objects: [...objects, blob(text)], tree };
  };
const submodule = (name: string, url: string, path = 'x'): string => `[submodule "${name}"]\n\tpath = ${path}\n\turl = ${url}\n`;

/** `honest`: the nearest harmless form, where plain git refuses the hostile one too. */
const HOSTILE: readonly (readonly [name: string, make: (target: GitTarget) => Parts, honest?: (target: GitTarget) => Parts])[] = [
  ...[
    '.git',
    '.GIT',
    '.Git',
    'git~1',
    'GIT~1',
    '.git ',
    '.git.',
    '.git::$INDEX_ALLOCATION',
    '.g\u200cit',
    '.gi\u206at',
    '.\ufeffgit',
  ].map((name) => [`a directory named ${JSON.stringify(name)}`, dotGit(name)] as const),
  ['a directory named ".."', dotGit('..')],
  ['a directory named "."', dotGit('.')],
  ['an empty name', dotGit(''), dotGit('gitty')],
  ['a slash in a name', dotGit('a/b')],
  ['a backslash and .git', dotGit('src\\.git')],
  ['.gitmodules as a link', modules('README.md', '120000')],
  ['a submodule whose name climbs', modules(submodule('../../x', 'https://git.test/x.git'))],
  ['a submodule whose url is an option', modules(submodule('x', '-u./evil'))],
  ['a submodule whose path is an option', modules(submodule('x', 'https://git.test/x.git', '-x'))],
  ['a submodule with update = !command', modules(`${submodule('x', 'https://git.test/x.git')}\tupdate = !touch marker\n`)],
  [
    'the same name twice',
    (target) =>
      rootWith(target, [
        ['100644', 'z', idOfBlob(X)],
        ['100755', 'z', idOfBlob(X)],
      ]),
  ],
  ['names out of order', (target) => rootWith(target, [['100644', '!first', idOfBlob(X)]], false)],
  ['a mode of a device', (target) => rootWith(target, [['060644', 'z', idOfBlob(X)]])],
  [
    'an id of zeros',
    (target) => rootWith(target, [['100644', 'z', '0'.repeat(40)]]),
    (target) => rootWith(target, [['100644', 'z', idOfBlob(X)]]),
  ],
];

const hostile = HOSTILE.map(
  ([name, make, honest]): Case => ({
    row: 38,
    name,
    attempt: `the change’s tree holds ${name}`,
    expected: 'refused in the cage, before there is any ref',
    async run(target) {
      const parts = make(target);
      const bundle = bundled(target, parts);
      const passed = await target.publish(bundle, parts.tree);
      const control = honest === undefined ? taken(target, bundle) : await passes(target, honest(target));
      return { ...notPublished(passed, /hostile_object|objects_unreadable/), control };
    },
  }),
);

// ── Row 39 ──────────────────────────────────────────────────────────────────────────────────────────────────────────

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

// ── Row 33 ──────────────────────────────────────────────────────────────────────────────────────────────────────────

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

// ── Row 41 ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const REFS = [
  'a\u3000b',
  '$(touch$IFS.marker)',
  'a;touch$IFS.marker',
  '-x',
  '--upload-pack=x',
  'a\u202eb',
  'main2',
  'coatcheck/x.lock1',
];

const refs = REFS.map(
  (branch): Case => ({
    row: 41,
    name: `a branch named ${JSON.stringify(branch)}`,
    attempt: 'such a name reaches the push',
    expected: 'refused as no name of ours, before anything is sent',
    async run({ world }) {
      const before = world.server.requests.length;
      const name = branch.startsWith('coatcheck/') ? `${branch}/..` : branch;
      const options = { remote: world.remote, branch: name, sha: world.base, expected: null, signal: world.signal };
      const ended = await pushBranch(world.quarantine, options).then(
        ({ kind }) => kind,
        (error: { code?: string }) => String(error.code),
      );
      const sent = world.server.requests.length - before;
      // What git itself says of the name, and of one of ours.
      const plain = spawnSync('git', ['-C', world.upstream, 'update-ref', `refs/heads/${branch}`, world.base]);
      if (plain.status === 0) gitAs(world.upstream, ['update-ref', '-d', `refs/heads/${branch}`]);
      const ours = branchRef('coatcheck/issue-1-abcdefgh');
      return {
        held: ended === 'branch_invalid' && sent === 0,
        seen: `${ended}, ${sent} requests`,
        control: { worked: plain.status === 0, how: `git takes it as a branch: ${plain.status === 0}; ours is ${ours}` },
      };
    },
  }),
);

// ── Row 43 ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A file at a path of any depth. */
function at(target: GitTarget, path: string): Parts {
  const [top = '', ...rest] = path.split('/');
  const objects: PackedObject[] = [];
  let entry: readonly [string, string] = ['100644', idOfBlob(X)];
  for (const name of rest.reverse()) {
    const data = treeOf([[entry[0], name, entry[1]]]);
    objects.push({ type: 'tree', data });
    entry = ['40000', idOf('tree', data)];
  }
  // A directory of the base is replaced as a whole.
  const parts = replacing(target, top, [entry[0], top, entry[1]]);
  return { objects: [...parts.objects, ...objects], tree: parts.tree };
}

const PROTECTED: readonly (readonly [name: string, make: (target: GitTarget) => Parts])[] = [
  ...[
    '.github/workflows/evil.yml',
    '.GitHub/Workflows/EVIL.YML',
    '.github/workflows/deep/er.yml',
    'CODEOWNERS',
    'docs/codeowners',
    'AGENTS.md',
    'Agents.MD',
    '\uff21\uff27\uff25\uff2e\uff34\uff33.md', // full-width letters: NFKC makes AGENTS.md of it
    'AGENTS\u200d.md',
    'deep/CLAUDE.md',
    'tembo.md',
    '.mcp.json',
    'deep/.mcp.json',
    '.claude/settings.json',
    '.cursor/rules',
    '.vscode/tasks.json',
    '.husky/pre-commit',
    '.github/coatcheck.yml',
    '.gitattributes',
  ].map((path) => [`the path ${JSON.stringify(path)}`, (target: GitTarget) => at(target, path)] as const),
  ['a link in the place of .github', (target) => replacing(target, '.github', ['120000', '.github', idOfBlob('src')])],
  ['a file in the place of .github', (target) => replacing(target, '.github', ['100644', '.github', idOfBlob(X)])],
  [
    '.github taken away',
    (target) => {
      const data = treeOf(target.world.baseEntries.filter(([, name]) => name !== '.github'));
      return { objects: [{ type: 'tree', data }], tree: idOf('tree', data) };
    },
  ],
];

/** An operator’s policy that lets such paths pass with a note. */
const UNGUARDED = { ...POLICY, protected_path: 'note', dot_directory: 'note' } as const;

const guarded = PROTECTED.map(
  ([name, make]): Case => ({
    row: 43,
    name,
    attempt: `the change touches ${name}`,
    expected: 'not published',
    async run(target) {
      const parts = make(target);
      const bundle = bundled(target, parts);
      const passed = await target.publish(bundle, parts.tree, { protectedPaths: PROTECTED_PATHS });
      const control = await target.publish(bundle, parts.tree, { policy: UNGUARDED });
      return {
        ...notPublished(passed, /protected_path/),
        control: { worked: control.published !== null, how: `where the policy only notes it: ${control.why}` },
      };
    },
  }),
);

// ── Row 61 ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const MALLORY = 'Linus Torvalds <torvalds@people.test> 1112911993 -0700';
const FORGED: readonly (readonly [name: string, commit: Partial<CommitText>, forged: RegExp])[] = [
  ['a forged author', { author: MALLORY }, /^author Linus/m],
  ['a forged committer', { committer: 'GitHub <noreply@github.com> 4000000000 +0000' }, /^committer GitHub/m],
  ['a timezone of its own', { author: 'a <a@b.test> 1700000000 +1337', committer: 'a <a@b.test> 1700000000 -1200' }, /\+1337/],
  [
    'a signature',
    { more: 'gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQEzBAABCAAdFiEE\n -----END PGP SIGNATURE-----\n' },
    /^gpgsig /m,
  ],
  ['further headers', { more: 'encoding UTF-7\nmergetag object 0\n x-reviewed-by someone\n' }, /^encoding UTF-7/m],
];

const forged = FORGED.map(
  ([name, commit, mark]): Case => ({
    row: 61,
    name,
    attempt: `the agent’s commit has ${name}`,
    expected: 'the published commit is the control plane’s own, with the verified tree and nothing else of it',
    async run(target) {
      const parts = rootWith(target, [['100644', 'z', idOfBlob(X)]]);
      const passed = await target.publish(bundled(target, parts, commit), parts.tree);
      const { world } = target;
      const text = passed.published === null ? '' : gitAs(world.upstream, ['cat-file', 'commit', passed.published]);
      const identity = `${US.name} <${US.email}> 1795255200 +0000`;
      const own = `tree ${parts.tree}\nparent ${world.base}\nauthor ${identity}\ncommitter ${identity}\n\nChange`;
      const theirs = commitOf({ tree: parts.tree, parent: world.base, ...commit }).toString();
      return { held: text === own, seen: text, control: { worked: mark.test(theirs), how: `the agent’s own:\n${theirs}` } };
    },
  }),
);

export const CASES: readonly Case[] = [
  ...archives,
  ...[linkThenWrite, waitingLink, endless, squeezed, anotherTree],
  ...hostile,
  ...bombs,
  ...lies,
  ...refs,
  ...guarded,
  ...forged,
];
