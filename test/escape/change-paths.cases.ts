/** Rows 41, 43 and 61: names of branches, protected paths, and whose commit is published. */
import { spawnSync } from 'node:child_process';
import { branchRef, pushBranch } from '../../src/git/push.ts';
import { PROTECTED_PATHS } from '../../src/policy/protected.ts';
import { POLICY } from '../git/quarantine-world.ts';
import { gitAs } from '../git/repositories.ts';
import type { EscapeCase } from './cases.ts';
import { bundled, idOfBlob, notPublished, type Parts, replacing, rootWith, X } from './change-parts.ts';
import { type GitTarget, US } from './git-rig.ts';
import { type CommitText, commitOf, idOf, type PackedObject, treeOf } from './objects.ts';

type Case = EscapeCase<GitTarget>;

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
    // Counts what is sent.
    alone: true,
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
      const control = await target.look(bundle, parts.tree, { policy: UNGUARDED });
      return {
        ...notPublished(passed, /protected_path/),
        control: { worked: control.verdict === 'clean', how: `where the policy only notes it: ${control.verdict}` },
      };
    },
  }),
);

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

export const CASES: readonly Case[] = [...guarded, ...forged, ...refs];
